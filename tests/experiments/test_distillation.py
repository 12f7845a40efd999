"""Distillation: three students per task on made-up data, and what the table says of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from experiments import distillation
from experiments.distillation import tables
from experiments.frame.page import finish, starting
from experiments.frame.registry import find
from experiments.frame.run import Run


def test_runs_through_and_shows_its_figures(run_of: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distillation, "TASKS", ("0-2",))
    monkeypatch.setattr(distillation, "STUDENT", "lenet5")
    monkeypatch.setattr(distillation, "SETTINGS", replace(distillation.SETTINGS, epochs=1))
    run = run_of("distillation")
    starting(run)
    reproduction = find("distillation")
    reproduction.run(run)
    page = finish(reproduction, run).page
    assert "0-2, taught by the brick" in page
    rows = run.record.document["rows"]
    assert {row["images"] for row in rows.values()} == {24}
    assert rows["0-2 brick"]["teacher_macs"] < rows["0-2 source"]["teacher_macs"]


def test_gains_are_counted_from_the_student_alone() -> None:
    row: dict[str, Any] = {"accuracy": 0.8, "student_macs": 1e6, "test_images": 2500}
    taught = {**row, "accuracy": 0.825, "teacher_accuracy": 0.9, "teacher_macs": 2e6}
    page = tables({"0-2 alone": row, "0-2 brick": taught})
    assert "0-2 taught by the brick: +2.50" in page
    assert "at most 1.0" in page

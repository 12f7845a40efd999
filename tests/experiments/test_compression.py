"""Compression: from cut to fine-tuning on made-up data, the same images for all, and who is best from the rows."""

from collections.abc import Callable
from typing import Any

import pytest

from experiments import compression
from experiments.compression import best, cells, tables
from experiments.frame.page import finish, starting
from experiments.frame.registry import find
from experiments.frame.run import Run
from experiments.study.cutting import Cutter, Method


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "METHODS", (Method("l1", "groups"), Method("random", "groups", 0)))
    monkeypatch.setattr(compression, "SHARES", (0.5,))
    monkeypatch.setattr(compression, "JUDGES", (Method("l1", "groups"),))
    monkeypatch.setattr(compression, "RATES", (0.01, 1e-9))


@pytest.mark.usefixtures("few")
def test_runs_through_and_resumes_without_cutting_again(
    run_of: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    reproduction, run = find("compression"), run_of("compression")
    starting(run)
    reproduction.run(run)
    page = finish(reproduction, run).page
    assert "lenet5-w0.5 at 50 % of its" in page
    assert "nan" not in page
    assert "after the same fine-tuning" in page
    rows = run.record.document["rows"]
    assert all(row["macs"] <= 0.5 for row in rows.values() if "macs" in row)
    held = rows["lenet5-w0.5 rates"]["held_out"]
    assert rows["lenet5-w0.5 0.5 l1 tuned cut"]["rate"] == (0.01 if held["0.01"] >= held["1e-09"] else 1e-9)
    del rows["lenet5-w0.5 0.5 l1 tuned refit"]  # the brick is on disk still
    monkeypatch.setattr(Cutter, "cut", lambda *_: pytest.fail("cut again"))
    reproduction.run(run)
    assert "lenet5-w0.5 0.5 l1 tuned refit" in rows


def rows() -> dict[str, Any]:
    size = {"macs": 0.49, "parameters": 0.5}
    return {
        "resnet20 base": {"base": 0.9, "restricted": 0.9, "images": 100, "macs_base": 1e6},
        "resnet20 0.5 l1": {**size, "cut": 0.2, "refit": 0.7},
        "resnet20 0.5 random 0": {**size, "cut": 0.1, "refit": 0.6},
        "resnet20 0.5 random 1": {**size, "cut": 0.3, "refit": 0.8},
        "resnet20 0.5 l1 tuned refit": {**size, "accuracy": 0.85},
    }


def test_random_is_the_mean_of_its_seeds() -> None:
    cell = cells(rows(), "resnet20", 0.5)["random"]
    assert cell["refit"] == pytest.approx(0.7)
    assert cell["spread"]["refit"] == pytest.approx(0.1)
    assert cell["seeds"] == 2


def test_best_names_all_that_tie_and_nobody_alone() -> None:
    found = {"a": {"refit": 0.5, "cut": None}, "b": {"refit": 0.5, "cut": 0.1}}
    assert best(found, "refit") == ["a", "b"]
    assert best(found, "cut") == []


def test_table_of_a_run_that_was_stopped() -> None:
    page = tables(rows())
    assert "| l1 | 49.00 | 50.00 | 20.00 | 70.00 | – | 85.00 |" in page
    assert "± 10.00" in page
    assert "Best cut alone:" in page


def test_fine_tuning_is_judged_on_images_it_does_not_see(
    run_of: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "TUNING", 4)
    seen, judge = compression._Network(run_of("compression"), "lenet5-w0.5").images
    assert (len(seen), len(judge)) == (40, 10)
    assert not set(seen.where) & set(judge.where)

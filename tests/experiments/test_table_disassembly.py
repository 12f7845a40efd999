"""The table of disassembly on small made-up sources: what is there is worked out once, what is not is said."""

from pathlib import Path

import pytest

from experiments import table_disassembly
from experiments.frame.registry import find
from experiments.frame.run import Run
from experiments.study.paper_figures import Task
from experiments.table_disassembly import RULES, tables

NAME = "lenet5-w0.5"


@pytest.fixture
def run(made_up: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(table_disassembly, "TASKS", (Task("cifar10", "0-2"),))
    return Run(
        "table_disassembly", made_up, tmp_path, trained, own={"networks": [NAME, "vgg16_bn"]}, say=lambda _: None
    )


def test_rows_of_the_sources_that_are_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = find("table-disassembly")
    experiment.run(run)
    rows = run.record.document["rows"]
    assert list(rows) == [f"{NAME} cifar10 0-2"]
    row = rows[f"{NAME} cifar10 0-2"]
    for rule in RULES:
        assert row[f"{rule} refit"]["macs"] == row[rule]["macs"]
        assert row[f"ours {rule}"]["macs"] <= row[rule]["macs"]
    monkeypatch.setattr(Run, "_subject", lambda *_: pytest.fail("opened a source again"))
    experiment.run(run)


def test_what_is_absent_is_said() -> None:
    page = tables({})
    assert "| cifar10 0-2 | no source here |" in page
    assert "| tiny-imagenet | no data here |" in page
    assert "93.87 → 95.47 |" in page

"""The record: rows once, written at once, and only taken up by a run of the same settings."""

import json
from pathlib import Path

import pytest

from experiments.frame.commits import made_by
from experiments.frame.record import Record, read, versions


def silent(text: str) -> None:
    pass


def test_row_is_on_disk_before_the_next_one_fails(tmp_path: Path) -> None:
    record = Record(tmp_path / "a.json", {"seed": 0}, say=silent)
    record.row("one", lambda: {"accuracy": 0.5})
    with pytest.raises(ZeroDivisionError):
        record.row("two", lambda: {"accuracy": 1 / 0})
    assert list(read(tmp_path / "a.json")["rows"]) == ["one"]


def test_second_run_does_not_work_a_row_out_again(tmp_path: Path) -> None:
    Record(tmp_path / "a.json", {"seed": 0}, say=silent).row("one", lambda: {"accuracy": 0.5})
    again = Record(tmp_path / "a.json", {"seed": 0}, say=silent)
    assert again.row("one", lambda: pytest.fail("worked out twice"))["accuracy"] == 0.5


def test_rows_of_other_settings_are_dropped(tmp_path: Path) -> None:
    Record(tmp_path / "a.json", {"seed": 0}, say=silent).row("one", lambda: {"accuracy": 0.5})
    assert Record(tmp_path / "a.json", {"seed": 1}, say=silent).document["rows"] == {}


def test_row_says_which_commit_made_it(tmp_path: Path) -> None:
    row = Record(tmp_path / "a.json", {}, say=silent).row("one", lambda: {"accuracy": 0.5})
    assert {k: row[k] for k in ("commit", "dirty")} == made_by()


def test_rows_of_another_process_are_kept(tmp_path: Path) -> None:
    ours, theirs = (Record(tmp_path / "a.json", {}, say=silent) for _ in range(2))
    theirs.row("theirs", lambda: {})
    ours.row("ours", lambda: {})
    assert list(read(tmp_path / "a.json")["rows"]) == ["theirs", "ours"]


def test_document_says_how_it_was_made(tmp_path: Path) -> None:
    Record(tmp_path / "a.json", {"seed": 3}, "python -m experiments x", silent).write()
    found = json.loads((tmp_path / "a.json").read_text())
    assert (found["command"], found["settings"]) == ("python -m experiments x", {"seed": 3})


def test_versions_name_torch() -> None:
    assert {"python", "torch", "modellego"} <= set(versions())

"""The record: rows once, written at once, and only taken up by a run of the same settings."""

import json
from pathlib import Path

import pytest

from modellego.paper.record import Record, read, versions


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


def test_document_says_how_it_was_made(tmp_path: Path) -> None:
    Record(tmp_path / "a.json", {"seed": 3}, "modellego paper x", silent).write()
    found = json.loads((tmp_path / "a.json").read_text())
    assert (found["command"], found["settings"]) == ("modellego paper x", {"seed": 3})


def test_versions_name_torch() -> None:
    assert {"python", "torch", "modellego"} <= set(versions())

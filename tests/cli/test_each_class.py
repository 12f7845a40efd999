"""`modellego disassemble --each-class`: a folder with one brick for each class."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modellego.brick import load
from modellego.cli import main

EACH = "disassemble nets.py:good --data pets --each-class --no-refit"


def test_each_class_gets_a_brick_that_says_what_it_is(within: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*EACH.split(), "-o", "apart", "--json"])
    assert stop.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert said["path"] == "apart"
    assert [load(brick["path"]).classes for brick in said["bricks"]] == [("cat",), ("dog",), ("fox",)]
    assert all(brick["kept_groups"] <= brick["groups"] for brick in said["bricks"])


def test_a_task_is_named_or_each_class_wanted(fails: Callable[[str], str]) -> None:
    assert "--classes" in fails("disassemble nets.py:good --data pets -o none.brick")


def test_a_folder_that_is_there_is_refused_before_work(fails: Callable[[str], str]) -> None:
    assert "exists" in fails(f"{EACH} -o pets")
    assert "'test' beside bricks" in fails(f"{EACH} -o pets --force")


def test_one_brick_has_no_run_to_resume_either(fails: Callable[[str], str]) -> None:
    line = "disassemble nets.py:good --data pets --classes cat,dog --no-refit -o nothing.brick --resume"
    assert "there is no checkpoint nothing.brick.checkpoint to resume from" in fails(line)


def test_a_checkpoint_is_not_overwritten(within: Path, fails: Callable[[str], str]) -> None:
    left = within / "left.brick.checkpoint"
    left.write_bytes(b"")
    try:
        assert "--resume" in fails("disassemble nets.py:good --data pets --classes cat,dog -o left.brick")
    finally:
        left.unlink()


def test_there_is_no_run_to_resume(fails: Callable[[str], str]) -> None:
    assert "there is no checkpoint" in fails(f"{EACH} -o nothing --resume")

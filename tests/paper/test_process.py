"""`modellego paper` as a process: one JSON object, resumed; errors in one line with exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modellego.cli import main

SMALL = ("--network", "lenet5", "--width", "0.5", "--epochs", "1", "--limit", "60", "--json")


def process(*arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "modellego", "paper", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def within(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """Run the command in this process: what it said."""
    with pytest.raises(SystemExit) as left:
        main(["paper", *map(str, arguments)])
    assert left.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_json_and_resume(made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("routes", "--data", made_up, "--out", tmp_path / "out", *SMALL)
    first = process(*arguments)
    assert first["settings"]["limit"] == 60
    assert {Path(f).name for f in first["files"]} >= {"routes.json", "routes.md", "routes-lenet5.html"}
    assert within(capsys, *arguments)["rows"] == first["rows"]


def failing(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as left:
        main(["paper", *map(str, arguments)])
    assert left.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_unknown_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "there is no reproduction 'foo': there are disassemble, assemble" in failing(capsys, "foo")


def test_missing_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = failing(capsys, "disassemble", "--data", tmp_path, "--out", tmp_path / "out")
    assert "there is no cifar10" in said
    assert "--data" in said


def test_no_folder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELLEGO_SHARED", raising=False)
    assert "--data DIR" in failing(capsys, "disassemble")


def test_record_of_other_settings_is_not_replaced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text(json.dumps({"settings": {"seed": 7}, "rows": {}}))
    said = failing(capsys, "graph", "--data", tmp_path, "--out", tmp_path, "--seed", "1")
    assert "another seed (7)" in said
    assert "--force" in said


def test_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    found = within(capsys, "--list", "--json")["reproductions"]
    assert {"disassemble", "graph", "routes"} <= {r["name"] for r in found}

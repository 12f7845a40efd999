"""`python -m experiments`: run, resumed; listed; errors in one line with exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.__main__ import main, stale
from experiments.frame import results_page
from experiments.frame.commits import ROOT


def process(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "experiments", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_run_and_resume(made_up: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["heatmaps", "--data", made_up, "--out", tmp_path / "out", "--sources", trained, "--network", "lenet5"]
    assert "# Heat maps of the soft relative contribution" in process(*arguments)
    first = json.loads((tmp_path / "out" / "heatmaps.json").read_text())
    assert first["settings"] == {"seed": 0, "network": "lenet5", "limit": None}
    assert first["command"].startswith("python -m experiments heatmaps --data")
    assert main([str(a) for a in arguments]) == 0
    assert json.loads((tmp_path / "out" / "heatmaps.json").read_text())["rows"] == first["rows"]


def test_train_source(made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"train-source lenet5 mnist --epochs 1 --batch-size 32 --data {made_up} --out {tmp_path}"
    assert main(words.split()) == 0
    assert "mnist-lenet5-w1-e1-s0" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "train_source.json").read_text())["rows"].values()
    assert row["sha256"] == json.loads((tmp_path / "mnist-lenet5-w1-e1-s0.json").read_text())["sha256"]


def failing(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(a) for a in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no experiment 'foo': there are published, accuracy" in failing(capsys, "foo")


def test_missing_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = failing(capsys, "disassemble", "--data", tmp_path, "--out", tmp_path / "out")
    assert "there is no cifar10" in said
    assert "--data" in said


def test_record_of_other_settings_is_not_replaced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text(json.dumps({"settings": {"seed": 7}, "rows": {}}))
    said = failing(capsys, "graph", "--data", tmp_path, "--out", tmp_path, "--seed", "1")
    assert "another seed (7)" in said
    assert "--force" in said


def test_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert {"disassemble", "graph", "train-source"} <= {
        line.split()[0] for line in capsys.readouterr().out.splitlines()
    }


def test_stale_names_older_rows_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = subprocess.run(
        ["git", "rev-list", "--max-parents=0", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not first:
        pytest.skip("no git history here")
    rows = {"old": {"commit": first[0], "dirty": False}, "of no commit": {}}
    (tmp_path / "graph.json").write_text(json.dumps({"settings": {}, "rows": rows}))
    assert stale(tmp_path) == 1
    assert capsys.readouterr().out == "graph.json: 1 older, 1 unknown\n  older: old\n"


def test_rows_without_a_commit_are_unknown_and_do_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "graph.json").write_text(json.dumps({"settings": {}, "rows": {"a": {}}}))
    assert stale(tmp_path) == 0
    assert capsys.readouterr().out == "graph.json: 1 unknown\n"


def test_a_page_that_is_not_current_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_page, "DOCS", tmp_path)
    monkeypatch.setattr(results_page, "sections", list)
    assert main(["--check"]) == 1
    assert "results.md" in capsys.readouterr().err
    assert main(["--write"]) == 0
    assert main(["--check"]) == 0

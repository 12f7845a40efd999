"""Which rows are older than the code that they measure, in a small repository made for it."""

import subprocess
from pathlib import Path

import pytest

from experiments.frame.commits import made_by, states


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def change(root: Path, file: str, text: str) -> str:
    place = root / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", text)
    return git(root, "rev-parse", "--short", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    change(tmp_path, "src/modellego/cut/a.py", "first")
    return tmp_path


def test_a_row_names_the_commit_and_says_that_the_tree_is_clean(root: Path) -> None:
    assert made_by(root) == {"commit": git(root, "rev-parse", "--short", "HEAD"), "dirty": False}


def test_changed_code_is_said(root: Path) -> None:
    (root / "src/modellego/cut/a.py").write_text("changed")
    assert made_by(root)["dirty"] is True


def test_a_new_result_does_not_make_the_code_dirty(root: Path) -> None:
    place = root / "experiments/results/a.json"
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    assert made_by(root)["dirty"] is False


def test_outside_a_checkout_nothing_is_known(tmp_path: Path) -> None:
    assert made_by(tmp_path) == {"commit": None, "dirty": None}


def test_rows_are_older_after_a_measured_room_changed_and_only_then(root: Path) -> None:
    rows = {"a": made_by(root)}
    change(root, "src/modellego/refit/a.py", "another room")
    assert states(rows, ["src/modellego/cut"], root)["current"] == ["a"]
    change(root, "src/modellego/cut/a.py", "second")
    rows["b"] = made_by(root)
    found = states(rows, ["src/modellego/cut"], root)
    assert (found["older"], found["current"]) == (["a"], ["b"])


@pytest.mark.parametrize("row", [{}, {"commit": None}, {"commit": "0123abc", "dirty": False}])
def test_a_row_without_a_known_commit_is_unknown(root: Path, row: dict[str, object]) -> None:
    assert states({"a": row}, ["src/modellego/cut"], root)["unknown"] == ["a"]


def test_a_row_of_changed_code_is_unknown(root: Path) -> None:
    assert states({"a": {**made_by(root), "dirty": True}}, ["src"], root)["unknown"] == ["a"]

"""`modellego predict` through real processes: folders, lists, broken files, CSV and JSON lines."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Process, Road
from tests.cli.forks import process

KEYS = ["file", "class", "probability", "rejected", "class_1", "probability_1", "class_2", "probability_2"]


@pytest.fixture(scope="module")
def photos(road: Road, place: Path) -> Path:
    """A folder of cats, dogs and one broken file."""
    folder = place / "photos"
    folder.mkdir()
    for name in ("cat", "dog"):
        shutil.copy(place / f"pets/test/{name}/0.png", folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return folder


def with_list(lines: str, *arguments: str, cwd: Path) -> Process:
    command = [sys.executable, "-m", "modellego", *arguments]
    return subprocess.run(command, cwd=cwd, input=lines, capture_output=True, text=True, check=False, timeout=500)


def test_a_broken_file_is_listed_at_the_end(photos: Path, place: Path) -> None:
    done = process("predict", "two.brick", "photos", "--json", cwd=place)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [(Path(p["file"]).name, p["class"]) for p in told["predictions"]] == [("cat.png", "cat"), ("dog.png", "dog")]
    assert [f["file"] for f in told["failed"]] == ["photos/broken.png"]
    first, last = done.stderr.splitlines()
    assert "photos/broken.png cannot be decoded" in first
    assert last == "1 of 3 images could not be read."


def test_a_list_on_stdin_becomes_csv(photos: Path, place: Path) -> None:
    lines = "photos/dog.png\n\nphotos/none.png\npets/test/cat\n"
    done = with_list(lines, "predict", "two.brick", "-", "--format", "csv", "--top", "2", cwd=place)
    assert done.returncode == 1
    assert "photos/none.png cannot be read" in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == KEYS
    assert [row["class"] for row in rows] == ["dog", "cat", "cat", "cat", "cat"]
    assert all(float(row["probability"]) == float(row["probability_1"]) > 0.5 for row in rows)


def test_json_lines_go_to_a_file(photos: Path, place: Path) -> None:
    done = process("predict", "two.brick", "photos/cat.png", "photos/dog.png", "-o", "said.jsonl", cwd=place)
    assert (done.returncode, done.stdout) == (0, "")
    said = [json.loads(line) for line in (place / "said.jsonl").read_text().splitlines()]
    assert [row["class"] for row in said] == ["cat", "dog"]


@pytest.mark.parametrize("form", ["table", "csv", "jsonl"])
def test_none_of_these_has_no_probability(photos: Path, place: Path, form: str) -> None:
    done = process("predict", "wary.brick", "pets/test/fox/0.png", "--format", form, cwd=place)
    assert done.returncode == 0
    if form == "table":
        (line,) = [line for line in done.stdout.splitlines() if "0.png" in line]
        assert [cell.strip() for cell in line.strip("│").split("│")][1:3] == ["none of these", "–"]
    elif form == "csv":
        (row,) = csv.DictReader(io.StringIO(done.stdout))
        assert (row["class"], row["probability"], row["rejected"]) == ("", "", "True")
    else:
        row = json.loads(done.stdout)
        assert (row["class"], row["probability"], row["rejected"]) == (None, None, True)

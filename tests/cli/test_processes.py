"""Failures of real processes: the exit code and both streams, as a shell sees them."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("inspect nets.py:segments --input-size 8 --channels 3 --json", "not a classifier"),
        ("inspect nets.py:Branch --input-size 8 --json", "nets.py:"),
        ("disassemble nets.py:good --data pets --classes cta -o x.brick --json", "did you mean cat?"),
        ("evaluate --json", "missing argument"),
    ],
)
def test_a_process_fails_with_one_line(place: Path, line: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modellego", *line.split()], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr

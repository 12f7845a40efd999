"""`--max-bad`: a broken image among good ones is left out and named, where that is allowed."""

import json
from pathlib import Path

from .forks import process

LINE = ("evaluate", "nets.py:good", "--class-names", "cat,dog,fox", "--input-size", "8", "--channels", "3", "--json")


def test_a_broken_image_is_left_out_and_named(place: Path) -> None:
    done = process(*LINE, "--data", "corrupt", "--max-bad", "1", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "left out: corrupt/test/dog/2.png cannot be decoded" in done.stderr
    assert json.loads(done.stdout)["images"] == 11


def test_without_it_the_image_is_refused(place: Path) -> None:
    done = process(*LINE, "--data", "corrupt", cwd=place)
    assert (done.returncode, "corrupt/test/dog/2.png cannot be decoded" in done.stderr) == (2, True)

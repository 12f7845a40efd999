"""Bricks off an assembled model and onto it, through real processes."""

import filecmp
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modellego.cli import main
from tests.cli.conftest import said
from tests.cli.forks import process

FILES = ["brick.json", "model.safetensors", "README.md"]
Road = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def apart(place: Path) -> Road:
    """What the commands said: two bricks under a common head, one of them taken off, put on and replaced."""
    model = ("nets.py:good", "--data", "pets", "--json")
    again = ("--data", "pets", "--json")
    steps: dict[str, tuple[object, ...]] = {
        "near": ("disassemble", *model, "--classes", "cat,dog", "-o", "near.brick"),
        "far": ("disassemble", *model, "--classes", "fox,dog", "-o", "far.brick"),
        "both": (
            *("assemble", "near.brick", "far.brick", "--merge-equal-classes", "--calibrate", "head", *again),
            *("-o", "both.brick"),
        ),
        "take": ("take", "both.brick", "near", "-o", "off.brick", "--rest", "rest.brick", "--json"),
        "replace": ("replace", "both.brick", "near", "off.brick", "-o", "swapped.brick", *again),
        "add": ("add", "both.brick", "off.brick", "--allow-same", "-o", "three.brick", "--json"),
        "predict": ("predict", "three.brick", "pets/test/cat", "--json"),
    }
    return {key: said(process(*arguments, cwd=place)) for key, arguments in steps.items()}


def test_what_comes_off_is_what_went_in(apart: Road, place: Path) -> None:
    assert apart["take"]["classes"] == ["cat", "dog"]
    for gone, was in (("off", "near"), ("rest", "far")):
        same, *unlike = filecmp.cmpfiles(place / f"{gone}.brick", place / f"{was}.brick", FILES, shallow=False)
        assert (same, *unlike) == (FILES, [], [])


def test_a_brick_is_replaced_and_the_model_calibrated_again(apart: Road) -> None:
    found = apart["replace"]
    assert (found["bricks"], found["calibrate"], found["accuracy"]) == (["off", "far"], "head", 1.0)


def test_a_brick_is_added_and_the_model_said_to_be_uncalibrated(apart: Road) -> None:
    assert apart["add"]["bricks"] == ["near", "far", "off"]
    assert "Not calibrated since" in apart["add"]["notes"]
    assert {p["class"] for p in apart["predict"]["predictions"]} == {"cat"}


MAPPED = "--data animals --map moggy=cat --map hound=dog"
JOINED = {
    "assemble": f"assemble near.brick far.brick --merge-equal-classes {MAPPED} -o said.brick --force",
    "ablation": f"ablation near.brick far.brick --merge-equal-classes --data pets {MAPPED}",
    "take": f"take three.brick off -o said.brick --rest left.brick --force {MAPPED}",
    "add": f"add both.brick off.brick --allow-same -o said.brick --force {MAPPED}",
    "replace": f"replace both.brick near off.brick -o said.brick --force {MAPPED}",
}


@pytest.mark.parametrize("verb", JOINED)
def test_what_labels_mean_is_said_once_before_work(
    apart: Road, within: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(JOINED[verb].split())
    told = capsys.readouterr()
    assert stop.value.code == 0, told.err
    assert told.err.startswith("note: labels:")
    assert "moggy is cat (by map)" in told.err
    assert told.err.count("labels:") == 1


def test_the_same_brick_is_asked_about(apart: Road, fails: Callable[[str], str]) -> None:
    assert "is that meant" in fails("assemble near.brick off.brick -o twice.brick")
    assert "is that meant" in fails("add both.brick near.brick -o twice.brick")


def test_a_missing_name_is_one_line(apart: Road, fails: Callable[[str], str]) -> None:
    assert "did you mean near" in fails("take both.brick nera -o z.brick")

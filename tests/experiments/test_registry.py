"""The registry: every experiment says what it is and measures rooms that exist; an unknown one is answered with all."""

from pathlib import Path

import pytest

from experiments.frame.commits import ROOT
from experiments.frame.registry import NAMES, find, known
from modellego.errors import LegoError


@pytest.mark.parametrize("name", NAMES)
def test_experiment_says_what_it_is_and_what_it_measures(name: str) -> None:
    found = find(name)
    assert found.title
    assert found.measures
    assert [room for room in found.measures if not (ROOT / "src" / "modellego" / room).exists()] == []


def test_every_file_is_registered() -> None:
    files = {f.stem for f in (ROOT / "experiments").glob("*.py") if "\nEXPERIMENT = " in f.read_text(encoding="utf-8")}
    assert files == set(NAMES)


def test_a_dash_stands_for_an_underscore() -> None:
    assert find("train-source") is find("train_source")


def test_unknown_name_is_answered_with_all_names() -> None:
    with pytest.raises(LegoError, match="there is no experiment 'nothing': there are published, accuracy, head-ideas"):
        find("nothing")


def test_list_keeps_the_order_of_the_names() -> None:
    assert tuple(known()) == NAMES


def test_the_wheel_holds_no_experiment() -> None:
    text = Path(ROOT / "pyproject.toml").read_text()
    assert 'packages = ["src/modellego"]' in text
    assert not list((ROOT / "src").rglob("*experiment*"))

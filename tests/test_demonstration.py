"""The demo from end to end, once: bricks that work and a new model that tells all ten digits apart."""

from pathlib import Path

import pytest

from modellego.brick import load
from modellego.demonstration import DemoResult, demo


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoResult]:
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, demo(out)


def test_bricks_keep_their_accuracy(made: tuple[Path, DemoResult]) -> None:
    _, found = made
    for brick in found.bricks:
        scores = brick.info.scores
        assert scores["brick_accuracy"] is not None
        assert scores["base_restricted_accuracy"] is not None
        assert scores["brick_accuracy"] > scores["base_restricted_accuracy"] - 0.05
        assert scores["macs"] < scores["macs_base"]  # type: ignore[operator]


def test_the_new_model_tells_all_digits_apart(made: tuple[Path, DemoResult]) -> None:
    _, found = made
    assert sorted(found.assembled.classes) == [str(d) for d in range(10)]
    assert found.assembled_scores.scores.accuracy > 0.75


def test_all_three_are_on_disk(made: tuple[Path, DemoResult]) -> None:
    out, found = made
    assert sorted(p.name for p in out.iterdir()) == ["digits.brick", "lenet.brick", "resnet.brick"]
    assert load(out / "digits.brick").classes == found.assembled.classes

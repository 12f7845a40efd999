"""The ablation: each row is what `assemble` and `evaluate` say of that way, and what does not fit is told."""

import pytest
import torch
from torch import nn

from modellego.assembly import assemble
from modellego.assembly.ablation import WAYS, Ablation, ablation
from modellego.brick import Brick
from modellego.data import Data, load_data
from modellego.errors import DataError
from modellego.evaluation import evaluate
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits")


def convolutions(*classes: str, channels: int = 6) -> Brick:
    torch.manual_seed(len(classes))
    net = nn.Sequential(nn.Conv2d(1, channels, 3), nn.ReLU(), nn.Flatten(), nn.Linear(channels * 36, len(classes)))
    brick = whole_brick(net, Preprocess(1, 8, 8), list(classes), "small")
    brick.info = brick.info.changed(scores={"base_accuracy": 0.2 * len(classes)})
    return brick


@pytest.fixture(scope="module")
def pair() -> list[Brick]:
    return [convolutions("0", "1"), convolutions("2", "3", "4", channels=5)]


@pytest.fixture(scope="module")
def compared(pair: list[Brick], digits: Data) -> Ablation:
    return ablation(pair, digits, per_class=20)


@pytest.mark.parametrize("way", WAYS)
def test_a_row_is_what_assemble_and_evaluate_say(pair: list[Brick], digits: Data, compared: Ablation, way: str) -> None:
    (row,) = [row for row in compared.ways if row.name == way]
    made = assemble(pair, data=digits, per_class=20, **WAYS[way])  # type: ignore[arg-type]
    scores = evaluate(made, digits).scores
    assert (row.accuracy, row.balanced) == (scores.accuracy, scores.balanced_accuracy)
    assert row.by_brick[1] == pytest.approx(scores.confusion.diagonal()[2:].sum() / scores.confusion[2:].sum())


def test_base_is_the_mean_over_the_classes(compared: Ablation) -> None:
    assert compared.base == pytest.approx((2 * 0.4 + 3 * 0.6) / 5)
    assert compared.base_restricted is None


def test_a_way_that_does_not_fit_is_told_and_the_others_are_there(pair: list[Brick], digits: Data) -> None:
    linear = whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), Preprocess(1, 8, 8), ["8", "9"], "linear")
    ways = {way.name: way for way in ablation([pair[0], linear], digits, per_class=5).ways}
    assert ways["scaling layers"].accuracy is None
    assert "topolog" in ways["scaling layers"].remark
    assert all(way.accuracy is not None for name, way in ways.items() if name != "scaling layers")


def test_without_test_images_nothing_is_compared(pair: list[Brick], digits: Data) -> None:
    with pytest.raises(DataError, match="test part"):
        ablation(pair, Data(digits.train))


def test_equal_names_kept_apart_cannot_be_scored(digits: Data) -> None:
    with pytest.raises(DataError, match="'1' fits"):
        ablation([convolutions("0", "1"), convolutions("1", "2")], digits)

"""Reject rules: the share that is answered, where the threshold comes from, and that it lives on in the brick."""

from pathlib import Path

import pytest
import torch
from torch import nn

from modellego.assembly import assemble
from modellego.assembly.samples import other_samples, own_samples
from modellego.brick import Brick, load
from modellego.brick.reject_rule import Statistic
from modellego.data import Data, ImageSet, load_data
from modellego.disassembly.verb import disassemble
from modellego.errors import AssemblyError, DataError
from modellego.evaluation import evaluate, predict
from modellego.preprocess import Preprocess
from modellego.rejection.rule import add_reject_rule
from modellego.sources.whole import whole_brick


def by_colour(*classes: str) -> Brick:
    """As sure of a class as its channel is bright."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, len(classes), bias=False))
    net[2].weight.data = torch.eye(3)[[("red", "green", "blue").index(c) for c in classes]] * 9  # type: ignore[union-attr]
    return whole_brick(net, Preprocess(3, 4, 4), classes)


def colours(count: int = 100, seed: int = 0) -> ImageSet:
    """Red, green and blue images of all brightnesses."""
    labels = torch.arange(3).repeat(count)
    light = torch.rand(len(labels), generator=torch.Generator().manual_seed(seed)) / 2 + 0.5
    images = torch.zeros(len(labels), 3, 4, 4)
    images[torch.arange(len(labels)), labels] = light[:, None, None]
    return ImageSet.from_tensor(images, labels, ["red", "green", "blue"])


def answered(brick: Brick, images: ImageSet) -> float:
    return 1 - float(brick.predict_reject(brick(images.images())).double().mean())


@pytest.mark.parametrize("statistic", ["energy", "max_logit", "max_probability", "margin"])
@pytest.mark.parametrize("keep", [0.5, 0.9, 1.0])
def test_the_share_asked_for_is_answered(statistic: Statistic, keep: float) -> None:
    brick, images = by_colour("red", "green"), colours().select([0, 1])
    add_reject_rule(brick, images, keep, statistic, views=0)
    assert answered(brick, images) == pytest.approx(keep, abs=0.01)


def test_other_classes_are_turned_away() -> None:
    brick = by_colour("red", "green")
    add_reject_rule(brick, colours(seed=1).select([0, 1]), 0.95, "energy", views=0)
    found = evaluate(brick, colours())
    assert found.reject is not None
    assert found.off_task is not None
    assert (found.off_task.rejected_off, found.off_task.auroc_reject) == (1.0, 1.0)
    assert found.reject.rejected == found.off_task.rejected_on
    assert found.reject.accuracy == pytest.approx(1 - found.reject.rejected)
    assert found.reject.accuracy_answered == 1.0
    assert predict(brick, torch.zeros(1, 3, 4, 4))[0].rejected


def test_altered_views_let_more_through() -> None:
    brick, images = by_colour("red", "green"), colours().select([0, 1])
    thresholds = []
    for views in (0, 3):
        add_reject_rule(brick, images, 0.95, views=views)
        assert brick.info.reject is not None
        thresholds.append(brick.info.reject.threshold)
    assert thresholds[1] < thresholds[0]


def test_the_rule_is_saved(tmp_path: Path) -> None:
    brick = by_colour("red", "green")
    add_reject_rule(brick, colours().select([0, 1]), 0.9)
    back = load(brick.save(tmp_path / "a.brick"))
    assert back.info.reject == brick.info.reject
    assert "none of these" in (tmp_path / "a.brick/README.md").read_text()


def test_a_model_that_turns_all_away_has_no_accuracy_of_those_answered() -> None:
    brick = by_colour("red", "green")
    add_reject_rule(brick, colours().select([0, 1]), 1.0)
    assert brick.info.reject is not None
    brick.info = brick.info.changed(reject=brick.info.reject.model_copy(update={"threshold": 1e9}))
    found = evaluate(brick, colours()).reject
    assert found is not None
    assert (found.rejected, found.accuracy, found.accuracy_answered) == (1.0, 0.0, None)


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_assembled_models_say_none_of_these(layout: str) -> None:
    made = assemble([by_colour("red"), by_colour("green")], layout=layout, data=colours(), reject=0.9)  # type: ignore[arg-type]
    assert made.info.reject is not None
    assert made.predict_reject(made(torch.zeros(1, 3, 4, 4))).tolist() == [True]


def test_a_brick_gets_a_rule_of_images_the_refit_did_not_see() -> None:
    digits = load_data("digits")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    brick = disassemble(
        net,
        Data(digits.train),
        "0-2",
        preprocess=Preprocess(1, 8, 8),
        class_names=digits.classes,
        refit_images=20,
        reject=0.8,
        reject_by="max_logit",
    )
    assert brick.info.reject is not None
    assert brick.info.reject.statistic == "max_logit"
    assert brick.info.scores["brick_accuracy"] is None


def test_other_samples_are_not_those_of_the_calibration() -> None:
    images = ImageSet.from_tensor(
        torch.linspace(0, 1, 60).view(60, 1, 1, 1).expand(-1, 3, 4, 4), [0, 1] * 30, ["a", "b"]
    )
    first, other = own_samples(images, ["a", "b"], 10, 3), other_samples(images, ["a", "b"], 15, 10, 3)
    assert (len(first), len(other)) == (20, 30)
    assert not set(first.where.tolist()) & set(other.where.tolist())
    assert len(other_samples(images, ["a", "b"], 50, 30, 3)) == 60  # none is left: better those than none


def test_what_cannot_be_asked_is_refused_early() -> None:
    bricks = [by_colour("red"), by_colour("green")]
    with pytest.raises(DataError, match="above 0 and at most 1"):
        assemble(bricks, reject=95)
    with pytest.raises(DataError, match="energy"):
        assemble(bricks, reject=0.9, reject_by="entropy")  # type: ignore[arg-type]
    with pytest.raises(AssemblyError, match="needs sample images"):
        assemble(bricks, reject=0.9)

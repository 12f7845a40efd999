"""Calibration wired in: bricks whose logits cannot be compared are made to, in both layouts."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from modellego.assembly import assemble
from modellego.brick import Assembled, Brick, load
from modellego.data import Data, load_data
from modellego.errors import AssemblyError
from modellego.evaluation import logits_of
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick
from tests.assembly.nets import relative


@cache
def digits() -> Data:
    return load_data("digits")


@cache
def trained(first: int, last: int, loudness: float) -> Brick:
    """A small network that knows some digits, its logits `loudness` times as large as they should be."""
    torch.manual_seed(first)
    train = digits().train.for_model([str(d) for d in range(first, last)])
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, last - first))
    images, labels = train.images(), torch.from_numpy(train.labels)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(80):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimiser.step()
    with torch.no_grad():
        for parameter in net[3].parameters():
            parameter.mul_(loudness)
    return whole_brick(net, Preprocess(1, 8, 8, (0.1 * first,)), train.classes)


def bricks() -> list[Brick]:
    return [trained(0, 5, 1.0), trained(5, 10, 0.05)]


def accuracy(model: Brick | Assembled) -> float:
    test = digits().test.for_model(model.classes)
    return float((logits_of(model, test).argmax(1) == torch.from_numpy(test.labels)).double().mean())


@pytest.mark.parametrize("method", ["affine", "head"])
def test_calibration_makes_logits_comparable(method: str) -> None:
    plain = accuracy(assemble(bricks()))
    assert accuracy(assemble(bricks(), calibrate=method, data=digits(), per_class=10, views=1)) > plain + 0.1


@pytest.mark.parametrize("method", ["affine", "head", "prior"])
def test_both_layouts_give_the_same_logits(method: str, tmp_path: object) -> None:
    padded, parallel = (
        assemble(bricks(), layout=x, calibrate=method, data=digits(), per_class=10, views=1)
        for x in ("padded", "parallel")
    )
    images = digits().test.images(slice(0, 50))
    assert relative(padded(images), parallel(images)) < 1e-5
    assert isinstance(padded, Brick)
    for k, model in enumerate((padded, parallel)):
        assert torch.equal(load(model.save(f"{tmp_path}/{k}.brick"))(images), model(images))


def test_the_head_reads_the_features_of_all_bricks() -> None:
    both = assemble(bricks(), calibrate="head", data=digits(), per_class=10, views=1)
    assert both.joint.linear.weight.shape == (10, 48)
    assert both.joint.reads == ("features", "features")
    assert [b.info.outputs for b in (both, *both.bricks)] == ["logits"] * 3


def test_assembled_bricks_take_part_with_their_logits() -> None:
    inner = assemble([trained(0, 3, 1.0), trained(3, 5, 1.0)])
    outer = assemble([inner, trained(5, 10, 0.05)], calibrate="head", data=digits(), per_class=10, views=1)
    assert outer.joint.linear.weight.shape == (10, 5 + 24)


def test_merged_classes_are_calibrated_together() -> None:
    pieces = [trained(0, 5, 1.0), trained(3, 10, 0.05)]
    padded, parallel = (
        assemble(pieces, layout=x, calibrate="head", data=digits(), merge_equal_classes=True, per_class=10, views=1)
        for x in ("padded", "parallel")
    )
    assert len(parallel.classes) == 10
    images = digits().test.images(slice(0, 50))
    assert relative(padded(images), parallel(images)) < 1e-5
    assert accuracy(parallel) > accuracy(assemble(pieces, merge_equal_classes=True))


def test_what_was_chosen_is_told() -> None:
    assert "Calibrated" in assemble(bricks(), calibrate="affine", data=digits(), per_class=10, views=1).info.notes


def test_two_ways_of_scaling_logits_are_refused() -> None:
    with pytest.raises(AssemblyError, match="choose one of them"):
        assemble(bricks(), calibrate="head", scale="logits", data=digits())


def test_calibration_needs_data() -> None:
    with pytest.raises(AssemblyError, match="calibrate='head' needs sample images"):
        assemble(bricks(), calibrate="head")


def test_prior_needs_no_labels() -> None:
    images = digits().train.images(range(600))
    plain = accuracy(assemble(bricks()))
    assert accuracy(assemble(bricks(), calibrate="prior", unlabelled=images)) > plain + 0.1


def test_prior_takes_as_many_labelled_images_of_each_class() -> None:
    made = assemble(bricks(), calibrate="prior", data=digits(), per_class=10)
    assert "on 100 images" in made.info.notes


def test_images_without_labels_are_refused_where_labels_are_read() -> None:
    with pytest.raises(AssemblyError, match="prior"):
        assemble(bricks(), calibrate="head", data=digits(), unlabelled=torch.zeros(1, 1, 8, 8))


def test_prior_takes_no_more_of_a_class_than_of_the_rarest() -> None:
    train = digits().train
    few = np.concatenate([train.of_class(k)[: 5 if k == 3 else 20] for k in range(10)])
    made = assemble(bricks(), calibrate="prior", data=train.subset(np.sort(few)), per_class=None)
    assert "on 50 images" in made.info.notes

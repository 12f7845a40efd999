"""The verb `disassemble`, on small networks and on published ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from modellego.brick import Brick, load
from modellego.contribution.relevance import Thresholds
from modellego.data import Data, ImageSet, load_data
from modellego.disassembly.verb import disassemble
from modellego.errors import CutError, DataError
from modellego.evaluation import logits_of, score
from modellego.locate import Budget
from modellego.preprocess import Preprocess
from modellego.sources import load_source
from modellego.sources.whole import whole_brick


def test_a_brick_knows_where_it_comes_from(net: Brick, digits: Data) -> None:
    brick = disassemble(net, digits, "7,3", refit_images=10)
    assert brick.classes == ("7", "3")
    assert brick.info.sources[0].of == (7, 3)
    assert brick.info.cut is not None
    assert brick.info.refit is not None
    assert {"base_accuracy", "base_restricted_accuracy", "brick_accuracy", "macs"} <= brick.info.scores.keys()


def test_thresholds_that_keep_all_leave_the_logits_alone(net: Brick, digits: Data) -> None:
    keep_all = Thresholds(0, 0, 0, 0)
    brick = disassemble(net, digits, "2-5", thresholds=keep_all, refit_images=0)
    images = digits.train.images(slice(0, 20))
    with torch.no_grad():
        torch.testing.assert_close(brick.eval()(images), net.eval()(images)[:, 2:6], rtol=1e-4, atol=1e-5)


def test_a_bare_model_takes_its_class_names_from_data_with_as_many_classes(digits: Data) -> None:
    images = Data(digits.train.select([3, 5, 7]))
    named = ImageSet(("cat", "dog", "fox"), images.train.labels, images.train.store, images.train.where)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    brick = disassemble(net, named, ["dog", "fox"], preprocess=Preprocess(1, 8, 8), refit_images=5)
    assert brick.classes == ("dog", "fox")
    assert brick.info.sources[0].of == (1, 2)


def test_a_higher_beta_keeps_less(net: Brick, digits: Data) -> None:
    kept = []
    for beta in (0.1, 0.6):
        cut = disassemble(net, digits, "0-1", thresholds=Thresholds(conv_beta=beta), refit_images=0).info.cut
        assert cut is not None
        kept.append(cut.kept)
    assert kept[0] > kept[1]


def test_the_same_call_gives_the_same_brick(net: Brick, digits: Data) -> None:
    one, two = (disassemble(net, digits, "0-1", refit_images=8) for _ in range(2))
    assert one.info == two.info
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_the_source_is_left_as_it_is(net: Brick, digits: Data) -> None:
    before = [p.clone() for p in net.parameters()]
    disassemble(net, digits, "0-1", refit_images=8)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_a_brick_is_disassembled_again(net: Brick, digits: Data) -> None:
    again = disassemble(disassemble(net, digits, "4-8", refit_images=0), digits, [2, 1], refit_images=0)
    assert again.classes == ("6", "5")
    assert again.info.sources[0].of == (6, 5)


def test_a_budget_is_kept(net: Brick, digits: Data) -> None:
    brick = disassemble(net, digits, "0-2", budget=Budget(macs=0.5), criterion="l1", refit_images=10)
    scores = brick.info.scores
    assert scores["macs"] is not None
    assert scores["macs_base"] is not None
    assert scores["macs"] <= 0.5 * scores["macs_base"]


def test_without_test_images_nothing_is_scored(net: Brick, digits: Data) -> None:
    brick = disassemble(net, digits.train, "0-1", refit_images=0)
    assert brick.info.scores["brick_accuracy"] is None


def test_a_corrupt_test_image_is_found_before_the_work(net: Brick, digits: Data, tmp_path: Path) -> None:
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a\.png cannot be decoded"):
        disassemble(net, Data(digits.train, load_data(str(tmp_path)).train), "0-1")


def test_a_class_without_images_is_refused(net: Brick, digits: Data) -> None:
    only_zero = digits.train.subset(digits.train.of_class(0))
    with pytest.raises(DataError, match="'1' has no images"):
        disassemble(net, only_zero, "0-1")


def test_a_bare_model_needs_its_preprocessing(digits: Data) -> None:
    with pytest.raises(DataError, match="preprocess"):
        disassemble(nn.Linear(2, 2), digits, "0")


def test_a_model_without_inner_channels_is_refused(digits: Data) -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(CutError, match="no channels that may be cut"):
        disassemble(flat, digits, "0", preprocess=Preprocess(1, 8, 8), class_names=digits.classes)


def test_tuning_goes_on_from_the_refit_and_is_recorded(net: Brick, digits: Data) -> None:
    refitted = disassemble(net, digits, "0-2", thresholds=Thresholds(0.6, 0.6), refit_images=6)
    brick = disassemble(net, digits, "0-2", thresholds=Thresholds(0.6, 0.6), refit_images=6, tune=16)
    assert brick.info.refit is not None
    record = brick.info.refit["tuning"]
    assert isinstance(record, dict)
    assert record["steps"] == 24  # three runs of four rounds of two steps
    assert {"lr", "norms", "kept_steps", "before", "after"} <= record.keys()
    tuned = any(not torch.equal(v, refitted.state_dict()[k]) for k, v in brick.state_dict().items())
    assert tuned == bool(record["kept_steps"])


def test_tuning_takes_images_without_labels(net: Brick, digits: Data) -> None:
    unlabelled = torch.rand(40, 1, 8, 8)
    brick = disassemble(net, digits, "0-2", thresholds=Thresholds(0.6, 0.6), refit_data=unlabelled, tune=8)
    assert brick.info.refit is not None
    assert brick.info.refit["tuning"]["images"] == 40  # type: ignore[call-overload, index]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"tune": 0}, "1 step or more"), ({"tune": 5, "refit_images": 0}, "leave the refit on")],
)
def test_tuning_that_cannot_be_is_refused_before_the_work(
    net: Brick, digits: Data, wrong: dict[str, int], message: str
) -> None:
    with pytest.raises(CutError, match=message):
        disassemble(net, digits, "0-2", **wrong)  # type: ignore[arg-type]


def few(images: ImageSet, classes: range, each: int) -> ImageSet:
    return images.subset(np.concatenate([images.of_class(k)[:each] for k in classes]))


def test_a_published_resnet_becomes_a_brick_that_works(shared: Path, tmp_path: Path) -> None:
    mean, std = "0.4914,0.4822,0.4465", "0.2023,0.1994,0.2010"
    data = load_data(str(shared / "data" / "cifar10"))
    assert data.test is not None
    part = Data(few(data.train, range(3), 60), few(data.test, range(3), 60))
    weights = shared / "models" / "cifar10_resnet20.safetensors"
    found = load_source("zoo:resnet20", weights=weights, mean=mean, std=std, class_names=data.classes)
    whole = whole_brick(found.model, found.preprocess, found.classes, found.name)
    assert score(logits_of(whole, part.test), part.test.labels).accuracy > 0.85  # type: ignore[arg-type, union-attr]
    brick = disassemble(whole, part, "0-2", budget=Budget(macs=0.75), refit_images=60)
    scores = brick.info.scores
    assert scores["base_restricted_accuracy"] is not None
    assert scores["brick_accuracy"] is not None
    assert scores["brick_accuracy"] > scores["base_restricted_accuracy"] - 0.1
    brick.save(tmp_path / "three.brick")
    assert load(tmp_path / "three.brick").classes == ("airplane", "automobile", "bird")


@pytest.mark.parametrize(
    ("budget", "named", "ranked_by"),
    [
        (Budget(macs=0.5), None, "reconstruction"),
        (Budget(max_drop=0.5), None, "reconstruction"),
        (Budget(macs=0.5), "contribution", "contribution"),
        (None, None, "contribution"),
        (Budget(), None, "contribution"),
        (None, "contribution", "contribution"),
    ],
)
def test_the_criterion_where_none_is_named(
    net: Brick, digits: Data, budget: Budget | None, named: str | None, ranked_by: str
) -> None:
    cut = disassemble(net, digits, "0-2", budget=budget, criterion=named, refit_images=10).info.cut
    assert cut is not None
    assert cut.criterion == ranked_by
    assert ("thresholds" in cut.options) == (budget is None or not budget.given)

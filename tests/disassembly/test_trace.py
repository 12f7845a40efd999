"""Nothing is worked out twice while a classifier is taken apart: shapes, channel groups, costs, images."""

from typing import Any

import pytest
import torch

from modellego import zoo
from modellego.brick import Brick, load
from modellego.capture.cost import network_macs
from modellego.capture.network import annotate
from modellego.channels import analyse
from modellego.data import Data, load_data
from modellego.disassembly.verb import disassemble
from modellego.locate import Budget
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick

from ..trace import calls, counted

WORK: dict[str, dict[str, Any]] = {
    "thresholds": {},
    "no refit": {"refit_images": 0},
    "budget": {"budget": Budget(macs=0.6), "criterion": "taylor"},
    "drop": {"budget": Budget(max_drop=0.2)},
    "reject": {"reject": 0.9},
}


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return zoo.build("lenet5", 10, 1, 8).eval()


@pytest.fixture
def digits() -> Data:
    return load_data("digits")


@pytest.mark.parametrize("work", WORK)
def test_one_analysis_and_few_annotations(model: torch.nn.Module, digits: Data, work: str) -> None:
    with calls(annotate, analyse, network_macs) as found:
        disassemble(model, digits, "0-2", preprocess=Preprocess(1, 8, 8), **{"refit_images": 10} | WORK[work])
    # the capture's annotation; the costs of the source for its lineage and for the job, and those of the brick
    assert found == {"annotate": 1, "analyse": 1, "network_macs": 3}


def test_a_brick_that_was_read_is_not_annotated_again(model: torch.nn.Module, digits: Data, tmp_path: Any) -> None:
    path = whole_brick(model, Preprocess(1, 8, 8), digits.classes).save(tmp_path / "whole.brick")
    with calls(annotate, analyse, network_macs) as found:
        opened = load(path)
        assert isinstance(opened, Brick)
        disassemble(opened, digits, "0-2", refit_images=10)
    assert found["annotate"] <= 1
    assert (found["analyse"], found["network_macs"]) == (1, 2)


@pytest.mark.parametrize("work", WORK)
def test_every_image_is_decoded_once(model: torch.nn.Module, digits: Data, work: str) -> None:
    assert digits.test is not None
    train, train_decoded = counted(digits.train)
    test, test_decoded = counted(digits.test)
    options = {"preprocess": Preprocess(1, 8, 8), "refit_images": 10} | WORK[work]
    disassemble(model, Data(train, test), "0-2", **options)
    wanted = {int(i) for i in test.where[test.labels < 3]}
    assert test_decoded == dict.fromkeys(wanted, 1)
    assert set(train_decoded.values()) == {1}


def test_a_refit_that_is_off_draws_nothing(model: torch.nn.Module, digits: Data) -> None:
    """With a curve ranked on the weights' contributions alone, only the sample images are looked at."""
    whole = whole_brick(model, Preprocess(1, 8, 8), digits.classes)
    passes = []
    for refit_images in (0, 10):
        with calls(Brick.prepare) as found:
            disassemble(whole, Data(digits.train), "0", refit_images=refit_images)
        passes.append(found["prepare"])
    assert passes[1] == passes[0] + 1

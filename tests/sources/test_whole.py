"""A whole model as a brick: the same logits, names and lineage."""

import pytest
import torch
from torch import nn

from modellego import zoo
from modellego.errors import CaptureError
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


def test_a_whole_brick_computes_what_the_model_computes() -> None:
    torch.manual_seed(0)
    net = zoo.build("lenet5", 4, 1, 28).eval()
    brick = whole_brick(net, Preprocess(1, 28, 28, (0.5,), (0.25,)), list("abcd"), "lenet").eval()
    images = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(brick(images), net((images - 0.5) / 0.25))


def test_names_default_to_numbers() -> None:
    brick = whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), Preprocess(1, 2, 2))
    assert brick.classes == ("0", "1", "2")
    assert brick.info.sources[0].of == (0, 1, 2)


def test_a_name_a_logit_is_wanted() -> None:
    with pytest.raises(CaptureError, match="3 logits but 2 class names"):
        whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), Preprocess(1, 2, 2), ["a", "b"])


@pytest.mark.parametrize("end", [nn.Softmax(dim=1), nn.LogSoftmax(dim=-1)])
def test_a_softmax_at_the_end_is_taken_off_and_said(end: nn.Module) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()
    brick = whole_brick(nn.Sequential(net, end), Preprocess(1, 4, 4))
    images = torch.rand(5, 1, 4, 4)
    torch.testing.assert_close(brick(images), net(images))
    assert "it is left out" in brick.info.notes


def test_a_softmax_inside_stays() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Softmax(dim=1), nn.Linear(4, 3)).eval()
    brick = whole_brick(net, Preprocess(1, 2, 2))
    images = torch.rand(5, 1, 2, 2)
    torch.testing.assert_close(brick(images), net(images))
    assert brick.info.notes == ""

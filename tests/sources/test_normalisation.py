"""The usual normalisations, tried where none is known."""

import pytest
import torch
from torch import nn

from modellego.data import ImageSet
from modellego.preprocess import Preprocess
from modellego.sources.normalisation import try_normalisations
from modellego.sources.whole import whole_brick


class Threshold(nn.Module):
    """Tells dark images from bright ones by the sign of their mean, given images normalised around a middle."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(1, 2, bias=False)
        self.last.weight.data = torch.tensor([[-1.0], [1.0]])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x.mean((1, 2, 3))[:, None])


def images() -> ImageSet:
    torch.manual_seed(0)
    bright = torch.arange(80) % 2
    values = bright[:, None, None, None] * 0.5 + torch.rand(80, 3, 4, 4) * 0.4
    return ImageSet.from_tensor(values, bright, ["dark", "bright"])


def test_a_forgotten_normalisation_is_found() -> None:
    brick = whole_brick(Threshold(), Preprocess(3, 4, 4), ["dark", "bright"])
    tried = try_normalisations(brick, images())
    assert tried is not None
    assert (tried.images, tried.right, tried.best_right, tried.clear) == (80, 40, 80, True)
    assert "right as it is, 80 with ImageNet's mean 0.485,0.456,0.406 and std 0.229,0.224,0.225: give" in tried.sentence


@pytest.mark.parametrize("mean", [0.45, 0.5])
def test_the_right_one_has_no_clear_rival(mean: float) -> None:
    brick = whole_brick(Threshold(), Preprocess(3, 4, 4, (mean,), (0.25,)), ["dark", "bright"])
    tried = try_normalisations(brick, images())
    assert tried is not None
    assert not tried.clear
    assert "no clear difference" in tried.sentence

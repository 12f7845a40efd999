"""The usual normalisations, tried where none is known."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from modellego.brick import load
from modellego.data import ImageSet
from modellego.disassembly import disassemble
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


class Learned(Threshold):
    """The same, with channels that may be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1, bias=False)
        self.first.weight.data = torch.tensor([1.0, 1.0, -1.0, 0.0])[:, None, None, None].expand(4, 3, 1, 1) / 3
        self.last = nn.Linear(4, 2, bias=False)
        self.last.weight.data = torch.tensor([[-1.0, -1.0, 1.0, 0.0], [1.0, 1.0, -1.0, 0.0]])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x).mean((2, 3)))


def test_a_bare_model_in_python_is_guarded_and_its_brick_keeps_the_note(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="mean and std are not both given: 40 of 80 .* are right as it is, 80 with"):
        brick = disassemble(Learned(), images(), ["dark", "bright"], preprocess=Preprocess(3, 4, 4))
    assert "40 of 80 train images are right as it is" in brick.info.notes
    assert load(brick.save(tmp_path / "a.brick")).info.notes == brick.info.notes


def test_a_normalisation_that_is_given_is_not_questioned() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = Preprocess(3, 4, 4, (0.45,), (0.25,))
        brick = disassemble(Learned(), images(), ["dark", "bright"], preprocess=given)
    assert brick.info.notes == ""

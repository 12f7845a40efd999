"""Images without labels, labelled by the model itself."""

import pytest
import torch
from torch import nn

from modellego.brick import Brick
from modellego.data import Data
from modellego.disassembly import disassemble
from modellego.disassembly.own_labels import own_labels
from modellego.errors import DataError
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick

NAMES = ("red", "green", "blue", "white")


def colours() -> Brick:
    """Class k answers to channel k, and the last to none."""
    layers = [nn.Conv2d(3, 6, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)]
    net = nn.Sequential(*layers)
    net[0].weight.data = torch.cat([torch.eye(3), torch.eye(3) / 2])[:, :, None, None]
    net[4].weight.data = torch.eye(4, 6) * torch.tensor([9.0, 9.0, 9.0, 0.0])[:, None]
    net[4].bias.data = torch.zeros(4)
    return whole_brick(net, Preprocess(3, 4, 4), NAMES)


def shown(strength: float = 1.0) -> torch.Tensor:
    return (torch.eye(3).repeat(8, 1) * strength)[:, :, None, None].expand(-1, -1, 4, 4)


def test_sure_images_bear_the_models_answers() -> None:
    found = own_labels(colours(), shown(), "blue,red", least=8)
    assert found.images.classes == ("blue", "red")
    assert found.images.counts.tolist() == [8, 8]
    assert torch.equal(found.images.images()[0], shown()[0])
    assert str(found).startswith("of 24 images without labels the model itself labels 16, with a probability of 0.9")


def test_unsure_images_are_left_out_and_told() -> None:
    with pytest.raises(DataError, match=r"labels 0, .*: red 0, blue 0; 10 of 'red' are needed: give more images"):
        own_labels(colours(), shown(0.1), "red,blue")


def test_a_class_of_several_adds_its_probabilities() -> None:
    half = torch.tensor([1.0, 1.0, 0.0])[None, :, None, None].expand(6, -1, 4, 4)
    with pytest.raises(DataError, match="red 0, green 0"):
        own_labels(colours(), half, "red,green", least=1)
    assert own_labels(colours(), half, "warm=red,warm=green", least=6).images.classes == ("warm",)


@pytest.mark.parametrize(("given", "says"), [({"threshold": 1.5}, "at most 1"), ({"least": 0}, "at least 1")])
def test_what_makes_no_sense_is_refused(given: dict[str, float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        own_labels(colours(), shown(), "red", **given)  # type: ignore[arg-type]


def test_a_brick_is_cut_with_them_and_says_that_they_are_few() -> None:
    found = own_labels(colours(), shown(), "red,blue", least=8)
    brick = disassemble(colours(), Data(found.images), "red,blue")
    assert brick.classes == ("red", "blue")
    assert "Too few images for a sound refit: each class needs 20 or more" in brick.info.notes

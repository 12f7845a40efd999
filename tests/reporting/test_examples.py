"""Example photos: of as many classes as there are, with the model's own answers, small."""

import base64
import io

import numpy as np
import torch
from PIL import Image

from modellego.brick import Brick
from modellego.data import ImageSet
from modellego.evaluation import logits_of
from modellego.preprocess import Preprocess
from modellego.reporting.examples import OTHERS, OWN, draw_examples
from modellego.sources.whole import whole_brick


def model() -> Brick:
    """Tells bright images from dark ones."""
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    net[2].weight.data = torch.tensor([[-1.0], [1.0]]).repeat(1, 3)
    net[2].bias.data = torch.tensor([1.5, -1.5])
    return whole_brick(net, Preprocess(3, 8, 8), ["dark", "bright"])


def images(size: int, classes: tuple[str, ...] = ("dark", "bright"), count: int = 40) -> ImageSet:
    labels = np.arange(count) % 2
    pixels = np.zeros((count, 3, size, size), np.uint8) + (labels * 255).astype(np.uint8)[:, None, None, None]
    return ImageSet.from_tensor(pixels, labels, classes)


def test_answers_are_the_models() -> None:
    brick, own = model(), images(8)
    found = draw_examples(brick, own, logits_of(brick, own), images(8, ("night", "day")))
    assert [e.own for e in found] == [True] * OWN + [False] * OTHERS
    assert all(e.answer == e.truth for e in found[:OWN])
    assert {e.truth for e in found[OWN:]} == {"night", "day"}
    assert all((e.answer == "bright") == (e.truth == "day") for e in found[OWN:])


def test_the_photo_is_the_image() -> None:
    brick, own = model(), images(8)
    (one, *_) = draw_examples(brick, own, logits_of(brick, own), own.subset([]))
    kind, content = one.picture.split(",")
    assert kind == "data:image/png;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert (shown == (0 if one.truth == "dark" else 255)).all()


def test_large_photos_are_made_small() -> None:
    brick, own = model(), images(600, count=2)
    for one in draw_examples(brick, own, logits_of(brick, own), own.subset([])):
        kind, content = one.picture.split(",")
        assert kind == "data:image/jpeg;base64"
        assert max(Image.open(io.BytesIO(base64.b64decode(content))).size) == 160

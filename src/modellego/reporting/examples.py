"""Example photos for a report: test images drawn by chance, and what the model says of them."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import ImageSet
from modellego.data.store import Pixels
from modellego.evaluation import logits_of
from modellego.evaluation.prediction import named
from modellego.reporting.contents import Example

OWN, OTHERS = 8, 4  # how many images of the model's own classes, and of other classes
_SIDE = 160  # pixels that a photo on the page has at most
_LOSSLESS = 64  # pixels up to which it is a PNG file


def draw_examples(
    model: Brick | Assembled, own: ImageSet, logits: Tensor, others: ImageSet, seed: int = 0
) -> tuple[Example, ...]:
    """Draw test images, of as many classes as there are, and say what the model answers.

    `logits` are the model's of `own`, `[N, classes]`; `others` are images of classes it does not have.
    """
    rng = np.random.default_rng(seed)
    mine, foreign = _drawn(own.labels, OWN, rng), _drawn(others.labels, OTHERS, rng)
    shown = [*_told(model, own.subset(mine), logits[mine], True)] if len(mine) else []
    if len(foreign):
        part = others.subset(foreign)
        shown += _told(model, part, logits_of(model, part), False)
    return tuple(shown)


def _drawn(labels: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw so many images by chance, one of each class before a second of any."""
    order = rng.permutation(len(labels))
    turn = np.zeros(len(order), np.int64)
    for label in np.unique(labels):
        (places,) = np.nonzero(labels[order] == label)
        turn[places] = np.arange(len(places))
    drawn = order[np.argsort(turn, kind="stable")][:count]
    return drawn[np.argsort(labels[drawn], kind="stable")]


def _told(model: Brick | Assembled, images: ImageSet, logits: Tensor, own: bool) -> list[Example]:
    return [
        Example(_picture(images.read(i)), images.classes[images.labels[i]], said.label, said.probability, own)
        for i, said in enumerate(named(model, logits, 1))
    ]


def _picture(pixels: Pixels) -> str:
    """Return an image `[h, w, c]`, made small, as the address of its own content."""
    levels = (pixels * (1 if pixels.dtype == np.uint8 else 255)).round().astype(np.uint8)
    image = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    image.thumbnail((_SIDE, _SIDE))
    kind = "PNG" if max(image.size) <= _LOSSLESS else "JPEG"
    file = io.BytesIO()
    image.save(file, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"

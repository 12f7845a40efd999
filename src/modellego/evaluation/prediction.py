"""Run a brick over images: logits batch by batch, and named predictions for image files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import ImageSet
from modellego.errors import DataError
from modellego.progress import Update


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one image with their softmax probabilities, and whether it was turned away."""

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    rejected: bool


def image_batches(model: Brick | Assembled, images: ImageSet, batch_size: int = 250) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through labelled images as float32 `[B, c, h, w]` in [0,1]; images of unlike sizes get the model's own."""
    try:
        images.images(slice(0, min(len(images), 64)))
        yield from images.batches(batch_size)
    except DataError as error:
        if "differ in size" not in str(error):
            raise
        yield from images.batches(batch_size, size=_largest_input(model))


def _largest_input(model: Brick | Assembled) -> tuple[int, int]:
    sizes = [b.info.input_shape[-2:] for b in model.modules() if isinstance(b, Brick) and b.info.input_shape]
    height, width = max(sizes, key=lambda s: s[0] * s[1])
    return height, width


def logits_of(
    model: Brick | Assembled, images: ImageSet, batch_size: int = 250, update: Update | None = None
) -> Tensor:
    """Return the logits of all images, float `[N, classes]`, the model in eval mode; its mode is put back.

    `update(done, total)` is called after each batch.
    """
    return logits_of_each([model], images, batch_size, update)[0]


@torch.no_grad()
def logits_of_each(
    models: Sequence[Brick | Assembled], images: ImageSet, batch_size: int = 250, update: Update | None = None
) -> list[Tensor]:
    """Return each model's logits of all images as `logits_of` does, in one pass over the images."""
    modes = [model.training for model in models]
    rows: list[list[Tensor]] = [[] for _ in models]
    done = 0
    try:
        for model in models:
            model.eval()
        for batch, _ in image_batches(models[0], images, batch_size):
            for model, own in zip(models, rows, strict=True):
                own.append(model(batch))
            done += len(batch)
            if update:
                update(done, len(images))
    finally:
        for model, mode in zip(models, modes, strict=True):
            model.train(mode)
    return [torch.cat(own) if own else torch.empty(0, len(m.classes)) for m, own in zip(models, rows, strict=True)]


@torch.no_grad()
def predict(model: Brick | Assembled, images: Tensor, top: int = 5) -> list[Prediction]:
    """Name the likeliest classes of images, float `[B, c, h, w]` in [0,1].

    Raises:
        DataError: images of channels or type the model cannot take.
    """
    logits = model(images)
    probabilities = logits.double().softmax(1)
    best = probabilities.topk(min(top, logits.shape[1]), 1)
    rejected = model.predict_reject(logits).tolist()
    return [
        Prediction(tuple(model.classes[i] for i in row), tuple(values), turned_away)
        for row, values, turned_away in zip(best.indices.tolist(), best.values.tolist(), rejected, strict=True)
    ]

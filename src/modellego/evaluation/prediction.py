"""Run a model over images: logits batch by batch, and named predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.capture.modes import evaluating
from modellego.data.feed import BATCH, framed_batches
from modellego.data.store import Store
from modellego.errors import DataError
from modellego.progress import Update


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one image with their softmax probabilities, and whether it was turned away."""

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    rejected: bool


def logits_of(model: Brick | Assembled, images: Store, batch_size: int = BATCH, update: Update | None = None) -> Tensor:
    """Return the logits of all images, float `[N, classes]`, the model in eval mode; its mode is put back.

    `images` is an `ImageSet` or any other store; each goes through the model's own preprocessing at its own size.
    `update(done, total)` is called after each batch.

    Raises:
        DataError: an image that is corrupt or that the model cannot take.
    """
    return logits_of_each([model], images, batch_size, update)[0]


@torch.no_grad()
def logits_of_each(
    models: Sequence[Brick | Assembled], images: Store, batch_size: int = BATCH, update: Update | None = None
) -> list[Tensor]:
    """Return each model's logits of all images as `logits_of` does, in one pass over the images."""
    rows: list[list[Tensor]] = [[] for _ in models]
    with evaluating(*models):
        for places, shown in framed_batches(images, [frame for model in models for frame in model.frames], batch_size):
            for model, own in zip(models, rows, strict=True):
                own.append(model(shown))
            if update:
                update(places.stop, len(images))
    found = [torch.cat(own) if own else torch.empty(0, len(m.classes)) for m, own in zip(models, rows, strict=True)]
    for logits in found:
        if len(logits) != len(images):
            raise DataError(f"a model gave {len(logits)} rows for {len(images)} images: it must give one for each")
    return found


@torch.no_grad()
def predict(model: Brick | Assembled, images: Tensor | Store, top: int = 5) -> list[Prediction]:
    """Name the likeliest classes of images: float `[B, c, h, w]` in [0,1], or a store of images of any sizes.

    Raises:
        DataError: an image that is corrupt, or of channels or type the model cannot take.
    """
    logits = model(images) if isinstance(images, Tensor) else logits_of(model, images)
    probabilities = logits.double().softmax(1)
    best = probabilities.topk(min(top, logits.shape[1]), 1)
    rejected = model.predict_reject(logits).tolist()
    return [
        Prediction(tuple(model.classes[i] for i in row), tuple(values), turned_away)
        for row, values, turned_away in zip(best.indices.tolist(), best.values.tolist(), rejected, strict=True)
    ]

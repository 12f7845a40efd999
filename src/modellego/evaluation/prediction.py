"""Run a model over images: logits batch by batch, and named predictions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from modellego.brick import Assembled, Brick
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


@torch.no_grad()
def logits_of(model: Brick | Assembled, images: Store, batch_size: int = BATCH, update: Update | None = None) -> Tensor:
    """Return the logits of all images, float `[N, classes]`, the model in eval mode; its mode is put back.

    `images` is an `ImageSet` or any other store; each goes through the model's own preprocessing at its own size.
    `update(done, total)` is called after each batch.

    Raises:
        DataError: an image that is corrupt or that the model cannot take.
    """
    mode = model.training
    model.eval()
    rows = []
    try:
        for place, shown in framed_batches(images, model.frames, batch_size):
            rows.append(model(shown))
            if update:
                update(place.stop, len(images))
    finally:
        model.train(mode)
    found = torch.cat(rows) if rows else torch.empty(0, len(model.classes))
    if len(found) != len(images):
        raise DataError(f"the model gave {len(found)} rows for {len(images)} images: it must give one for each")
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

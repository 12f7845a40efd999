"""Run a model over images: logits batch by batch, and named predictions."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.brick.methods import Prediction
from modellego.capture.modes import evaluating
from modellego.data.feed import BATCH, own_batches
from modellego.data.given import GivenImages, image_store
from modellego.data.store import PickedStore, Store
from modellego.distributed import gathered
from modellego.errors import DataError
from modellego.progress import Update


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
    """Return each model's logits of all images as `logits_of` does, in one pass over the images.

    Of several processes each runs its share, and all get all logits.
    """
    rows: list[list[Tensor]] = [[] for _ in models]
    with evaluating(*models):
        for _, places, shown in own_batches(images, [frame for model in models for frame in model.frames], batch_size):
            for model, own in zip(models, rows, strict=True):
                own.append(model(shown))
            if update:
                update(places.stop, len(images))
    if not len(images):
        return [torch.empty(0, len(model.classes)) for model in models]
    found = [gathered(own) for own in rows]
    for logits in found:
        if len(logits) != len(images):
            raise DataError(f"a model gave {len(logits)} rows for {len(images)} images: it must give one for each")
    return found


def predict(model: Brick | Assembled, images: GivenImages, top: int = 5) -> list[Prediction]:
    """Name the likeliest classes of one image or many, a prediction per image; a method of bricks too.

    `images`: paths of files and folders, PIL images, NumPy arrays `[h, w, c]` or `[n, h, w, c]`, tensors `[c, h, w]` or
    `[n, c, h, w]` (uint8, or floats in [0,1]), lists of these, or a store of images; of any sizes.

    Raises:
        DataError: an image that is corrupt, or of channels, type or values the model cannot take.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    >>> brick = whole_brick(net, Preprocess(1, 8, 8), ["cat", "dog"])
    >>> [found] = predict(brick, np.zeros((20, 30, 3), np.uint8))
    >>> found.label in brick.classes, round(sum(found.probabilities), 6)
    (True, 1.0)
    """
    return named(model, logits_of(model, image_store(images)), top)


def named(model: Brick | Assembled, logits: Tensor, top: int) -> list[Prediction]:
    """Return what logits `[N, C]` of a model say, a prediction per row."""
    best = logits.double().softmax(1).topk(min(top, logits.shape[1]), 1)
    rejected = model.predict_reject(logits).tolist()
    return [
        Prediction(tuple(model.classes[i] for i in row), tuple(values), turned_away)
        for row, values, turned_away in zip(best.indices.tolist(), best.values.tolist(), rejected, strict=True)
    ]


def predict_proba(model: Brick | Assembled, images: GivenImages) -> NDArray[np.float64]:
    """Return the softmax probabilities of images, as `predict` takes them: float64 `[N, C]`, a column per class.

    An image that the model would turn away has its row too. Raises `DataError` as `predict` does.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    >>> predict_proba(whole_brick(net, Preprocess(1, 8, 8)), torch.rand(5, 3, 9, 9)).shape
    (5, 2)
    """
    found: NDArray[np.float64] = logits_of(model, image_store(images)).double().softmax(1).cpu().numpy()
    return found


def predict_each(
    model: Brick | Assembled, images: Store, top: int = 5, batch_size: int = BATCH
) -> Iterator[Prediction | DataError]:
    """Predict images in order, batch by batch; in the place of one that cannot be read stands the error.

    >>> from pathlib import Path
    >>> from modellego.data.store import FileStore
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> brick = whole_brick(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)), Preprocess(1, 8, 8))
    >>> list(predict_each(brick, FileStore([Path("none.png")])))
    [DataError('none.png cannot be read: No such file or directory')]
    """
    for start in range(0, len(images), batch_size):
        part = PickedStore(images, range(start, min(len(images), start + batch_size)))
        try:
            yield from named(model, logits_of(model, part), top)
        except DataError:  # one of them is broken: one at a time tells which
            for number in part.picked:
                try:
                    yield from named(model, logits_of(model, PickedStore(images, [number])), top)
                except DataError as error:
                    yield error

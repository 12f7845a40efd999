"""Training images: the part that is trained on and the part held out, and batches of them by index."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import ImageSet
from modellego.errors import DataError

IN_MEMORY = 2**30  # bytes of decoded images that are kept between epochs


@dataclass(frozen=True)
class Feed:
    """Labelled images by index: `read(indices)` gives float32 `[b, c, h, w]` in [0,1], `labels` are int64 `[n]`."""

    read: Callable[[Tensor], Tensor]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def open_feed(model: Brick | Assembled, images: ImageSet) -> Feed:
    """Return the images as a feed, decoded once where they fit into memory, brought to one size where sizes differ."""
    labels = torch.from_numpy(images.labels)
    first = images.image_shape
    if len(images) * int(np.prod(first)) <= IN_MEMORY:
        pixels = [images.read(i) for i in range(len(images))]
        if len({(p.shape, p.dtype) for p in pixels}) == 1:
            whole = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
            scale = 255 if whole.dtype == torch.uint8 else 1
            return Feed(lambda indices: whole[indices].float() / scale, labels)
    sizes = {images.read(i).shape[:2] for i in range(min(len(images), 64))}
    size = None if len(sizes) == 1 else _largest_input(model)
    return Feed(lambda indices: images.images(indices, size=size), labels)


def _largest_input(model: Brick | Assembled) -> tuple[int, int]:
    sizes = [b.info.input_shape[-2:] for b in model.modules() if isinstance(b, Brick) and b.info.input_shape]
    height, width = max(sizes, key=lambda s: s[0] * s[1])
    return height, width


def split_held_out(labels: NDArray[np.int64], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices to train on and those held out: of each class the share, drawn at random, ascending.

    A class of one image keeps it for training. Raises `DataError` where nothing is left to train on.

    >>> train, held = split_held_out(np.array([0, 0, 1, 1]), 0.5, 0)
    >>> len(train), len(held)
    (2, 2)
    """
    random = np.random.default_rng(seed)
    held: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        mine = random.permutation(np.flatnonzero(labels == label))
        count = min(len(mine) - 1, round(share * len(mine)))
        held.append(mine[:count])
    out = np.sort(np.concatenate(held)) if held else np.zeros(0, np.int64)
    train = np.setdiff1d(np.arange(len(labels)), out)
    if len(train) < 2:
        raise DataError("there are fewer than 2 images to train on: give more, or hold fewer out")
    return train.astype(np.int64), out.astype(np.int64)

"""Labelled images by index, as a training run reads them: batch by batch, in an order of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import ImageSet

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

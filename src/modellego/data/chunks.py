"""Network input a few images at a time, gone through as often as work needs it."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from modellego.data.feed import Inputs

NetworkInput = Tensor | Inputs | Sequence[Tensor]


def number_of(images: NetworkInput) -> int:
    """Return how many images there are.

    >>> number_of([torch.rand(3, 1, 8, 8), torch.rand(2, 1, 8, 8)])
    5
    """
    return len(images) if isinstance(images, Tensor | Inputs) else sum(len(batch) for batch in images)


def chunks(images: NetworkInput, most: int) -> Iterator[Tensor]:
    """Go through network input in order, at most `most` images at once, however it is held.

    `images` is one tensor `[N, *input_shape]`, `Inputs` (decoded as they come), or batches that can be gone through
    again.

    >>> [len(chunk) for chunk in chunks([torch.rand(5, 1, 8, 8), torch.rand(2, 1, 8, 8)], 3)]
    [3, 2, 2]
    """
    for batch in (images,) if isinstance(images, Tensor) else images:
        for start in range(0, len(batch), most):
            yield batch[start : start + most]


def tensor_of(images: NetworkInput) -> Tensor:
    """Return all images at once, `[N, *input_shape]`: where they are few."""
    if isinstance(images, Tensor):
        return images
    return images.tensor() if isinstance(images, Inputs) else torch.cat(list(images))

"""Augmentation of training images: mirror images and small shifts, from a generator of their own."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from modellego.errors import DataError


@dataclass(frozen=True)
class Augment:
    """What may happen to a training image: mirrored (`flip`), moved by up to `shift` pixels, black moving in.

    >>> Augment(flip=False, shift=0).changes
    False
    """

    flip: bool = True
    shift: int = 4

    def __post_init__(self) -> None:
        if self.shift < 0:
            raise DataError(f"images are shifted by 0 pixels or more, not {self.shift}")

    @property
    def changes(self) -> bool:
        """Whether anything is done at all."""
        return self.flip or self.shift > 0


def augmented(images: Tensor, how: Augment, generator: torch.Generator) -> Tensor:
    """Return a batch `[B, c, h, w]`, each image mirrored and shifted by chance; the same generator, the same images.

    >>> one = torch.arange(4.0).view(1, 1, 2, 2)
    >>> augmented(one, Augment(flip=True, shift=0), torch.Generator().manual_seed(0)).shape
    torch.Size([1, 1, 2, 2])
    """
    count, _, height, width = images.shape
    columns = torch.arange(width).expand(count, width)
    rows = torch.arange(height).expand(count, height)
    if how.flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    if how.shift:
        down, right = torch.randint(-how.shift, how.shift + 1, (2, count, 1), generator=generator)
        images = F.pad(images, (how.shift,) * 4)
        rows, columns = rows + down + how.shift, columns + right + how.shift
    if not how.changes:
        return images
    batch = torch.arange(count)[:, None, None]
    picked = images.movedim(1, -1)[batch, rows[:, :, None], columns[:, None, :]]
    return picked.movedim(-1, 1).contiguous()

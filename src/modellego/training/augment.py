"""Augmentation of training images: mirror images and small shifts, from a generator of their own."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from modellego.errors import DataError
from modellego.preprocess import Framed


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
            raise DataError(f"the shift must be 0 pixels or more, not {self.shift}")

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
    return _moved(images, *_drawn(len(images), how, generator)) if how.changes else images


def augmented_frames(images: Framed, how: Augment, generator: torch.Generator) -> Framed:
    """Change framed images as `augmented` does, each image in all frames alike.

    `shift` is in pixels of the largest frame; in smaller ones an image moves by the same share of its side, rounded.

    >>> from modellego.preprocess import Frame
    >>> images = Framed({Frame((3, s, s)): torch.rand(2, 3, s, s) for s in (16, 32)})
    >>> len(augmented_frames(images, Augment(), torch.Generator().manual_seed(0)))
    2
    """
    if not how.changes:
        return images
    mirrored, down, right = _drawn(len(images), how, generator)
    height, width = (max(frame.shape[axis] for frame in images.images) for axis in (1, 2))

    def moved(shown: Tensor) -> Tensor:
        rows, columns = shown.shape[-2] / height, shown.shape[-1] / width
        return _moved(shown, mirrored, (down * rows).round().long(), (right * columns).round().long())

    return images.map(moved)


def _drawn(count: int, how: Augment, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw which images are mirrored, bool `[count, 1]`, and how far each moves down and right, int64 `[count, 1]`."""
    mirrored = torch.zeros(count, 1, dtype=torch.bool)
    down = right = torch.zeros(count, 1, dtype=torch.int64)
    if how.flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
    if how.shift:
        down, right = torch.randint(-how.shift, how.shift + 1, (2, count, 1), generator=generator)
    return mirrored, down, right


def _moved(images: Tensor, mirrored: Tensor, down: Tensor, right: Tensor) -> Tensor:
    count, _, height, width = images.shape
    columns = torch.arange(width).expand(count, width)
    columns = torch.where(mirrored, columns.flip(1), columns)
    rows = torch.arange(height).expand(count, height)
    border = int(max(down.abs().max(), right.abs().max())) if count else 0
    images = F.pad(images, (border,) * 4)
    rows, columns = rows + down + border, columns + right + border
    batch = torch.arange(count)[:, None, None]
    picked = images.movedim(1, -1)[batch, rows[:, :, None], columns[:, None, :]]
    return picked.movedim(-1, 1).contiguous()

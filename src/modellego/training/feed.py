"""Labelled images by index, as a training run reads them: batch by batch, in an order of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from modellego.data import ImageSet
from modellego.data.feed import framed
from modellego.preprocess import Frame, Framed


@dataclass(frozen=True)
class Feed:
    """Labelled images by index, each brought to every frame that the models of a run read."""

    images: ImageSet
    frames: tuple[Frame, ...]

    @property
    def labels(self) -> Tensor:
        """The labels, int64 `[n]`."""
        return torch.from_numpy(self.images.labels)

    def read(self, indices: Tensor) -> Framed:
        """Return some of the images in the order asked, in [0,1]."""
        return framed(self.images.subset(indices), self.frames)

"""What the head of a brick reads of images, and what its rows are."""

import torch
from torch import Tensor

from modellego.brick import Brick
from modellego.brick.body import Head
from modellego.data import ImageSet
from modellego.data.feed import framed_batches


def head_of(brick: Brick) -> Head:
    """Return a brick's last linear layer, which all networks studied here have."""
    head = brick.head
    if head is None:
        raise ValueError("the brick does not end in a linear layer")
    return head


@torch.no_grad()
def features_of(brick: Brick, images: ImageSet) -> Tensor:
    """Return a brick's features of all images, float `[N, width]`."""
    brick.eval()
    return torch.cat([brick.features(shown) for _, shown in framed_batches(images, brick.frames)])

"""Small made-up calibration problems: two bricks whose features say the class, one of them far too loud."""

import torch
from torch import Tensor

from modellego.assembly.heads import Anchor, Rows, concatenated_head, make_rows


def problem(count: int = 240, loudness: float = 6.0, views: int = 1, noise: float = 1.0) -> tuple[Rows, Anchor, Tensor]:
    """Rows of two bricks with 3 and 2 classes, the second's head `loudness` times too loud; anchor and labels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 5
    centre = 3 * torch.eye(5)[labels]
    seen = [[_brick(centre, i, noise, generator) for i in (0, 1)] for _ in range(views)]
    heads = [(torch.eye(3, 4), torch.zeros(3)), (loudness * torch.eye(2, 4), torch.zeros(2))]
    return make_rows(seen, labels), concatenated_head(heads), labels


def _brick(centre: Tensor, which: int, noise: float, generator: torch.Generator) -> Tensor:
    """Features `[N, 4]`: the brick's own classes, and whether the image is one of them."""
    own = centre[:, :3] if which == 0 else centre[:, 3:]
    mine = own.sum(1, keepdim=True)
    wide = torch.cat([own, torch.zeros(len(own), 3 - own.shape[1]), mine], 1)
    return wide + noise * torch.randn(wide.shape, generator=generator)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of rows whose largest logit is the label's."""
    return float((logits.argmax(1) == labels).double().mean())

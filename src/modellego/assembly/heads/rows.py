"""What calibration reads: rows of the bricks' columns, and the concatenated head as an anchor."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modellego.errors import AssemblyError


@dataclass(frozen=True)
class Rows:
    """What the bricks make of calibration images: one row per view of an image.

    `columns` float [N, F]: the bricks' outputs side by side (features, or logits where a brick has no linear end);
    `labels` int64 [N]: the class (or group of logits) each row belongs to; `images` int64 [N]: which image a row
    shows; `views` int64 [N]: 0 for the unaltered image, 1, 2, ... for its altered views.
    """

    columns: Tensor
    labels: Tensor
    images: Tensor
    views: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, mask: Tensor) -> "Rows":
        """Return the rows of a mask, bool [N]."""
        return Rows(self.columns[mask], self.labels[mask], self.images[mask], self.views[mask])


def make_rows(columns: Sequence[Sequence[Tensor]], labels: Tensor) -> Rows:
    """Stack `columns[v][b]` float [n, F_b] (view v, brick b; view 0 the unaltered images) and `labels` int64 [n].

    Raises:
        AssemblyError: a view or a brick has another number of rows than there are labels, or holds no finite numbers.

    >>> rows = make_rows([[torch.zeros(3, 2), torch.zeros(3, 4)]] * 2, torch.tensor([0, 1, 1]))
    >>> rows.columns.shape, rows.images.tolist(), rows.views.tolist()
    (torch.Size([6, 6]), [0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1])
    """
    for view in columns:
        for brick, part in enumerate(view):
            if len(part) != len(labels):
                raise AssemblyError(f"brick {brick} has {len(part)} rows of columns for {len(labels)} labels")
    stacked = torch.cat([torch.cat([part.flatten(1).float() for part in view], 1) for view in columns])
    if not bool(stacked.isfinite().all()):
        raise AssemblyError("the bricks give numbers that are not finite on the calibration images: nothing to fit")
    n, count = len(labels), len(columns)
    return Rows(
        stacked,
        labels.long().repeat(count),
        torch.arange(n).repeat(count),
        torch.arange(count).repeat_interleave(n),
    )


@dataclass(frozen=True)
class Anchor:
    """The concatenated head: `weight` float [L, F] (block-diagonal) and `bias` [L] over the bricks' columns.

    `brick_of_class` int64 [L] and `brick_of_column` int64 [F] say whose each row and column is.
    """

    weight: Tensor
    bias: Tensor
    brick_of_class: Tensor
    brick_of_column: Tensor

    @property
    def bricks(self) -> int:
        """How many bricks there are."""
        return int(self.brick_of_class.max()) + 1

    def logits(self, columns: Tensor) -> Tensor:
        """Return the concatenated logits [N, L] of columns [N, F], in the columns' precision."""
        return columns @ self.weight.T.to(columns.dtype) + self.bias.to(columns.dtype)


def concatenated_head(heads: Sequence[tuple[Tensor, Tensor]]) -> Anchor:
    """Return the bricks' own heads, each `(weight [L_b, F_b], bias [L_b])`, as one block-diagonal head.

    A brick without a linear end takes part with its logits as columns: give `(torch.eye(L_b), torch.zeros(L_b))`.

    Raises:
        AssemblyError: a bias does not fit its weight.

    >>> anchor = concatenated_head([(torch.ones(1, 2), torch.zeros(1)), (torch.eye(2), torch.zeros(2))])
    >>> anchor.weight.int().tolist(), anchor.brick_of_class.tolist()
    ([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], [0, 1, 1])
    """
    for brick, (weight, bias) in enumerate(heads):
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            sizes = f"{tuple(bias.shape)} does not fit per head of {tuple(weight.shape)}"
            raise AssemblyError(f"brick {brick}: a bias of {sizes}")
    numbers = torch.arange(len(heads))
    return Anchor(
        _block_diagonal([weight.detach().float() for weight, _ in heads]),
        torch.cat([bias.detach().float() for _, bias in heads]),
        numbers.repeat_interleave(torch.tensor([len(weight) for weight, _ in heads])),
        numbers.repeat_interleave(torch.tensor([weight.shape[1] for weight, _ in heads])),
    )


def _block_diagonal(weights: Sequence[Tensor]) -> Tensor:
    whole = torch.zeros(sum(w.shape[0] for w in weights), sum(w.shape[1] for w in weights))
    row = column = 0
    for weight in weights:
        whole[row : row + weight.shape[0], column : column + weight.shape[1]] = weight
        row, column = row + weight.shape[0], column + weight.shape[1]
    return whole

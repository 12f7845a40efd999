"""The joint of an assembled brick: what turns the bricks' outputs, side by side, into one row of logits."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from modellego.errors import AssemblyError

_MAX_PADDED = 2**22
Read = Literal["output", "features"]


class Joint(nn.Module):
    """Steps applied in order to the bricks' concatenated outputs `[B, D]`; with no step it hands them on.

    1. `linear`: an `nn.Linear` over all columns (a common head).
    2. `scale`, `shift`: one number per column, `x * scale + shift`.
    3. `merge`: groups of columns, each the log-sum-exp of its columns (the logit of "any of these"); a column
       in no group is dropped.

    `reads` says what is taken of each brick: its `output` (all of them, by default), or its `features`, which its own
    last linear layer reads.

    Raises:
        AssemblyError: the steps' sizes do not fit one another.

    >>> Joint(merge=[[0, 2], [1]])(torch.zeros(1, 3))
    tensor([[0.6931, 0.0000]])
    """

    def __init__(
        self,
        linear: nn.Linear | None = None,
        scale: torch.Tensor | None = None,
        shift: torch.Tensor | None = None,
        merge: Sequence[Sequence[int]] | None = None,
        reads: Sequence[Read] | None = None,
    ) -> None:
        super().__init__()
        if linear is not None and type(linear) is not nn.Linear:
            raise AssemblyError(f"a joint's linear step must be an nn.Linear, not {type(linear).__name__}")
        self.linear = linear
        self.scale = _vector("scale", scale)
        self.shift = _vector("shift", shift)
        self.merge = None if merge is None else tuple(tuple(int(i) for i in group) for group in merge)
        self.reads = None if reads is None else tuple(reads)
        self._columns: torch.Tensor | None
        self.register_buffer("_columns", None if self.merge is None else _padded(self.merge), persistent=False)

    def width(self, columns: int) -> int:
        """Return how many columns come out of `columns`, checking that the steps fit.

        >>> Joint(merge=[[0, 2], [1]]).width(3)
        2
        """
        if self.linear is not None:
            if self.linear.in_features != columns:
                raise AssemblyError(f"the joint's linear layer reads {self.linear.in_features} columns, not {columns}")
            columns = self.linear.out_features
        for name, vector in (("scale", self.scale), ("shift", self.shift)):
            if vector is not None and len(vector) != columns:
                raise AssemblyError(f"the joint's {name} holds {len(vector)} numbers for {columns} columns")
        if self.merge is not None:
            if max(max(group) for group in self.merge) >= columns:
                raise AssemblyError(f"the joint merges columns beyond the {columns} there are")
            columns = len(self.merge)
        return columns

    def forward(self, columns: torch.Tensor) -> torch.Tensor:
        """Map the bricks' outputs side by side, `[B, D]`, to logits `[B, C]`."""
        if self.linear is not None:
            columns = self.linear(columns.to(self.linear.weight.dtype))
        if self.scale is not None:
            columns = columns * self.scale
        if self.shift is not None:
            columns = columns + self.shift
        if self._columns is None:
            return columns
        if self._columns.shape[1] == 1:
            return columns.index_select(1, self._columns[:, 0])
        nothing = columns.new_full((len(columns), 1), -torch.inf)  # the column with which short groups are filled up
        return torch.cat([nothing, columns], 1)[:, self._columns + 1].logsumexp(2)

    def extra_repr(self) -> str:
        """Name the steps without parameters of their own."""
        return "" if self.merge is None else f"merge={len(self.merge)} groups"


def _vector(name: str, values: torch.Tensor | None) -> nn.Parameter | None:
    if values is None:
        return None
    if values.ndim != 1 or not values.is_floating_point():
        raise AssemblyError(f"a joint's {name} must be a vector of floats, one per column")
    return values if isinstance(values, nn.Parameter) else nn.Parameter(values.detach().clone())


def _padded(groups: tuple[tuple[int, ...], ...]) -> torch.Tensor:
    """Return the groups as int64 `[C, longest]`, filled up with -1; no column may come twice."""
    seen = [i for group in groups for i in group]
    if not groups or not all(groups):
        raise AssemblyError("a joint cannot merge an empty group of columns")
    if len(set(seen)) != len(seen) or min(seen) < 0:
        raise AssemblyError("a joint merges each column once at most, counted from 0")
    if len(groups) * max(map(len, groups)) > _MAX_PADDED:
        raise AssemblyError("a joint's groups are too many and too unequal in length")
    longest = max(map(len, groups))
    return torch.tensor([(*group, *[-1] * (longest - len(group))) for group in groups])

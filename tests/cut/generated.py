"""Hypothesis makes networks: a chain of blocks that tie, mix, split, join and move channels in the field's ways."""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from .mechanisms import conv


class Residual(nn.Module):
    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.a, self.b, self.channels = conv(c, inner), nn.Conv2d(inner, c, 1), c

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.b(self.a(x))).relu()


class Dense(nn.Module):
    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.a, self.channels = conv(c, inner), c + inner

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), x], 1)


class Split(nn.Module):
    """Uneven parts: one is worked on, they are joined in another order."""

    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.sizes, self.channels = [c - c // 3 - 1, c // 3 + 1], c
        self.a = conv(self.sizes[1], self.sizes[1])

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.split(self.sizes, 1)
        return torch.cat([self.a(b), a], 1)


class Shuffle(nn.Module):
    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.groups = 2 if c % 2 == 0 else 1
        self.channels = c

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Gate(nn.Module):
    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.down, self.up, self.channels = nn.Linear(c, inner), nn.Linear(inner, c), c

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(self.down(x.mean((2, 3))).relu()).sigmoid()
        return x * y[:, :, None, None]


class Depthwise(nn.Module):
    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.a, self.b, self.channels = conv(c, 2 * c, groups=c), conv(2 * c, inner, 1), inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.b(self.a(x))
        return y


class Grouped(nn.Module):
    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        groups = next(g for g in (3, 2, 1) if c % g == 0)
        self.a, self.channels = conv(c, groups * inner, groups=groups), groups * inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.a(x)
        return y


class Readers(nn.Module):
    """Several layers read one tensor; a slice of it is read, too."""

    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.a, self.b, self.c, self.channels = conv(c, inner), conv(c, inner, 1), conv(c // 2, inner), inner

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.b(x) * self.c(x[:, 1 : 1 + x.shape[1] // 2])


class Reused(nn.Module):
    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.a, self.channels = conv(c, c), c

    def forward(self, x: Tensor) -> Tensor:
        return x + self.a(self.a(x))


class InPlace(nn.Module):
    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.a, self.channels = nn.Conv2d(c, c, 1), c

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y += x
        return y.relu_().mul_(0.7)


class Strided(nn.Module):
    """Every other channel is read by itself."""

    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.a, self.channels = conv((c + 1) // 2, inner), inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.a(x[:, ::2])
        return y


BLOCKS: list[type[Any]] = [
    Residual, Dense, Split, Shuffle, Gate, Depthwise, Grouped, Readers, Reused, InPlace, Strided,
]  # fmt: skip


class Generated(nn.Module):
    """A stem, the blocks, and a head behind a flatten over 2 x 2 positions or behind a mean."""

    def __init__(self, width: int, plan: list[tuple[type[Any], int]], flat: bool) -> None:
        super().__init__()
        self.stem = conv(3, width)
        self.blocks = nn.ModuleList()
        channels = width
        for kind, inner in plan:
            block = kind(channels, inner)
            self.blocks.append(block)
            channels = block.channels
        self.flat = flat
        self.head = nn.Linear(channels * (4 if flat else 1), 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        x = nn.functional.max_pool2d(x, 2)
        y: Tensor = self.head(x.flatten(1) if self.flat else x.mean((2, 3)))
        return y


@st.composite
def networks(draw: st.DrawFn) -> Generated:
    """Draw a network with random weights."""
    torch.manual_seed(draw(st.integers(0, 999)))
    width = draw(st.integers(4, 9))
    plan = draw(st.lists(st.tuples(st.sampled_from(BLOCKS), st.integers(3, 6)), min_size=1, max_size=5))
    return Generated(width, plan, draw(st.booleans()))

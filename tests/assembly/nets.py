"""Small random networks of every shape of graph that padding must get right, cut at random."""

import copy
import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from modellego.brick import Brick, BrickInfo, Origin
from modellego.capture import Network, annotate, capture
from modellego.channels import analyse
from modellego.cut import cut, plan_cut, rescue
from modellego.preprocess import Preprocess

SIZE = 6


class _Block(nn.Module):
    """Base: a stem of two layers, and a head behind average pooling."""

    def __init__(self, w: int, classes: int, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU())
        self.head = nn.Linear(w, classes)

    def body(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)).mean((2, 3)))


class Plain(_Block):
    def __init__(self, w: int, classes: int, channels: int = 3) -> None:
        super().__init__(w, classes, channels)
        self.more = nn.Sequential(
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, bias=False), nn.InstanceNorm2d(2 * w, affine=True),
            nn.PReLU(2 * w),
            nn.Conv2d(2 * w, w, 2, dilation=2), nn.PReLU(), nn.Dropout(0.3),
        )  # fmt: skip

    def body(self, x: Tensor) -> Tensor:
        return self.more(x)


class Flat(nn.Module):
    """Flattened with positions left, so that the first linear layer reads features of channels."""

    def __init__(self, w: int, classes: int, channels: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, w, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(w * 4, 2 * w),
            nn.BatchNorm1d(2 * w),
            nn.GELU(), nn.Linear(2 * w, classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Residual(_Block):
    def __init__(self, w: int, classes: int, channels: int = 3) -> None:
        super().__init__(w, classes, channels)
        self.one = nn.Sequential(nn.Conv2d(w, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, w, 1))
        self.gain = nn.Parameter(torch.rand(w, 1, 1))
        self.offset = nn.Parameter(torch.rand(1))

    def body(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.one(x) * self.gain + self.offset)


class Concat(_Block):
    """Columns interleave, and a residual sum meets a concatenation."""

    def __init__(self, w: int, classes: int, channels: int = 3) -> None:
        super().__init__(w, classes, channels)
        self.left, self.right = nn.Conv2d(w, w, 1), nn.Conv2d(w, 2 * w, 3, padding=1)
        self.norm = nn.BatchNorm2d(4 * w)
        self.join = nn.Conv2d(4 * w, w, 1)
        self.same = nn.Conv2d(w, 4 * w, 1)
        self.depth = nn.Conv2d(4 * w, 4 * w, 3, groups=4 * w)
        self.head = nn.Linear(4 * w, classes)

    def body(self, x: Tensor) -> Tensor:
        y = self.norm(torch.cat([self.left(x), x, self.right(x)], 1))
        return self.depth(y + self.same(self.join(y).sigmoid()))


class Shuffle(_Block):
    """Split, shuffled and put together again, as ShuffleNet does."""

    def __init__(self, w: int, classes: int, channels: int = 3) -> None:
        super().__init__(2 * w, classes, channels)
        self.branch = nn.Sequential(nn.Conv2d(w, w, 1), nn.ReLU(), nn.Conv2d(w, w, 3, padding=1, groups=w))
        self.after = nn.Conv2d(2 * w, 2 * w, 1)
        self.w = w

    def body(self, x: Tensor) -> Tensor:
        for _ in range(2):
            left, right = x.chunk(2, 1)
            x = torch.cat([left, self.branch(right)], 1)
            b, c, h, w = x.shape
            x = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
        return self.after(x[:, : self.w].repeat(1, 2, 1, 1).flip(1))


class Gated(_Block):
    """Squeeze and excite, a depthwise convolution with two outputs per channel, and a spatial gate of one channel."""

    def __init__(self, w: int, classes: int, channels: int = 3) -> None:
        super().__init__(w, classes, channels)
        self.wide = nn.Conv2d(w, 2 * w, 3, padding=1, groups=w)
        self.down, self.up = nn.Linear(2 * w, 3), nn.Linear(3, 2 * w)
        self.place = nn.Conv2d(2 * w, 1, 1)
        self.head = nn.Linear(2 * w, classes)

    def body(self, x: Tensor) -> Tensor:
        x = self.wide(x)
        gate = torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3))))))
        x = x * gate[:, :, None, None]
        return x * torch.sigmoid(self.place(x))


class Grouped(_Block):
    """Groups of two, one layer called twice, a norm of groups, and channels of zeros put beside."""

    def __init__(self, w: int, classes: int, channels: int = 3) -> None:
        super().__init__(2 * w, classes, channels)
        self.groups = nn.Conv2d(2 * w, 2 * w, 3, padding=1, groups=w)
        self.norm = nn.GroupNorm(w, 2 * w)
        self.head = nn.Linear(2 * w + 3, classes)

    def body(self, x: Tensor) -> Tensor:
        x = self.norm(self.groups(torch.relu(self.groups(x))))
        return nn.functional.pad(x, (0, 0, 0, 0, 1, 2)) + 0.5


NETS: dict[str, Callable[..., nn.Module]] = {
    "plain": Plain, "flat": Flat, "residual": Residual, "concat": Concat, "shuffle": Shuffle, "gated": Gated,
    "grouped": Grouped,
}  # fmt: skip


@functools.cache
def _captured(kind: str, width: int, classes: int, channels: int, size: int) -> Network:
    return capture(NETS[kind](width, classes, channels), (channels, size, size))


def _with_weights(network: Network, seed: int, dtype: torch.dtype) -> Network:
    """Return a copy with weights and running statistics of its own."""
    generator = torch.Generator().manual_seed(seed)
    graph = copy.deepcopy(network.graph).to(dtype)
    with torch.no_grad():
        for name, tensor in graph.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point():
                fan = max(1, tensor[0].numel()) if tensor.ndim > 1 else 4
                tensor.normal_(0, fan**-0.5, generator=generator)
    return annotate(graph, network.input_shape)


def random_brick(
    kind: str,
    width: int,
    classes: int,
    seed: int,
    dtype: torch.dtype = torch.float64,
    share: float = 1.0,
    mean: float = 0.5,
    prefix: str = "c",
    channels: int = 3,
    size: int = SIZE,
    shuffled: bool = False,
) -> Brick:
    """Return a brick of a random network, `share` of its channel groups kept, its logits out of order if `shuffled`."""
    network = _with_weights(_captured(kind, width, classes, channels, size), seed, dtype)
    order = np.random.default_rng(seed).permutation(classes).tolist() if shuffled else list(range(classes))
    if share < 1 or shuffled:
        found = analyse(network)
        random = np.random.default_rng(seed)
        keep, _ = rescue(found, random.random(found.n_groups) < share, random.random(found.n_groups))
        network = cut(plan_cut(network, found, keep, order))
    names = tuple(f"{prefix}{i}" for i in order)
    preprocess = Preprocess(channels, size, size, mean=(mean,), std=(0.2 + mean / 4,))
    source = Origin(name=f"{kind}{seed}", classes=names, of=tuple(order), total=classes)
    info = BrickInfo(classes=names, input_shape=(channels, size, size), preprocess=preprocess, sources=(source,))
    return Brick(network.graph, info)


def relative(a: Tensor, b: Tensor) -> float:
    """Return the largest difference relative to the largest magnitude."""
    return float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1e-30))

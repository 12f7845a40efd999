"""Aggregation of one layer: sums over samples of its rectified contributions, and the table made of them.

Kernels of a single offset (linear layers, 1x1 convolutions) need two vectors only, since `max(w s, 0) =
max(w,0) max(s,0) + max(-w,0) max(-s,0)`; larger kernels fill one table. Both are float64, whatever the
network's dtype, on the CPU, and may be added: over batches, over data sets, over processes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modellego.capture.layers import WeightedLayer
from modellego.contribution.fused import Backend, add_rectified, pack
from modellego.contribution.windows import Window, window_of, window_sums


@dataclass(frozen=True)
class LayerSums:
    """Sums over samples for one layer; `a + b` is the sums over the samples of both.

    `samples` is their number. Either `positive` and `negative`, the sums of `max(s, 0)` and `max(-s, 0)` of
    the summed input, float64 `[P]` each; or `pairs`, the sums of the rectified contributions, float64 `[P,
    Q/groups]`.
    """

    samples: int
    positive: Tensor | None = None
    negative: Tensor | None = None
    pairs: Tensor | None = None

    def __add__(self, other: "LayerSums") -> "LayerSums":
        return LayerSums(
            self.samples + other.samples,
            _plus(self.positive, other.positive),
            _plus(self.negative, other.negative),
            _plus(self.pairs, other.pairs),
        )


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if (a is None) != (b is None):
        raise ValueError("sums of different layers cannot be added")
    return None if a is None or b is None else a + b


def votes(layer: nn.Module) -> bool:
    """Whether a layer mixes channels: a linear layer or a convolution that is not depthwise.

    >>> votes(nn.Conv2d(8, 8, 3, groups=8)), votes(nn.Conv2d(8, 8, 3, groups=4)), votes(nn.ReLU())
    (False, True, False)
    """
    if isinstance(layer, nn.Linear):
        return True
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return layer.groups == 1 or layer.in_channels > layer.groups
    return False


@dataclass
class Accumulator:
    """One layer's running sums; `add` takes a batch of what the layer reads, `sums` is the total so far.

    `maps` is the number of neighbouring features that make one channel's map in front of a linear layer: 1
    takes each feature for itself, more sums a channel's features before rectifying, as if the layer were a
    convolution.
    """

    layer: WeightedLayer
    maps: int = 1
    backend: Backend = "auto"

    def __post_init__(self) -> None:
        self.window: Window | None = None if isinstance(self.layer, nn.Linear) else window_of(self.layer)
        self.taps = self.maps if self.window is None else self.window.taps
        self.groups = group_count(self.layer)
        weight = self.layer.weight
        self._packed: Tensor | None = None
        self.channels = weight.shape[1] * self.groups // (self.maps if self.window is None else 1)
        self.outputs = weight.shape[0] // self.groups
        self.reset()

    def reset(self) -> None:
        """Start again from no samples (the next class)."""
        self.samples = 0
        shape = (self.channels,) if self.taps == 1 else (self.channels, self.outputs)
        self._positive = torch.zeros(shape, dtype=torch.float64)
        self._negative = torch.zeros(shape if self.taps == 1 else (0,), dtype=torch.float64)

    def window_sums(self, x: Tensor) -> Tensor:
        """Return `[N, P, K]` for an input `[N, P, *spatial]` or, before a linear layer, `[N, ..., P]`."""
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        if self.window is not None:
            return window_sums(x, self.window)
        if x.dim() > 2:  # tokens: a linear layer on a sequence is a 1x1 convolution over it
            x = x.flatten(1, -2).sum(1)
        return x.reshape(len(x), self.channels, self.maps)

    def add(self, x: Tensor) -> None:
        """Add a batch of the layer's input."""
        self.add_sums(self.window_sums(x.detach()))

    def add_sums(self, sums: Tensor) -> None:
        """Add a batch by its window sums `[N, P, K]`."""
        self.samples += len(sums)
        if self.taps == 1:
            s = sums[:, :, 0].cpu()
            self._positive += s.clamp(min=0).sum(0, dtype=torch.float64)
            self._negative -= s.clamp(max=0).sum(0, dtype=torch.float64)
            return
        if self._packed is None:
            weight = self.layer.weight.to(sums.dtype)
            self._packed = pack(weight.view(self.outputs, self.channels, -1) if self.maps > 1 else weight, self.groups)
        add_rectified(self._positive, sums, self._packed, self.backend)

    def sums(self) -> LayerSums:
        """Return the sums so far, as a value of its own."""
        if self.taps == 1:
            return LayerSums(self.samples, self._positive.clone(), self._negative.clone())
        return LayerSums(self.samples, pairs=self._positive.clone())


def aggregate(layer: WeightedLayer, x: Tensor, maps: int = 1, backend: Backend = "auto") -> LayerSums:
    """Sum the rectified contributions of a layer over the samples of one batch of its input `x`.

    >>> layer = nn.Conv2d(3, 4, 3, bias=False)
    >>> sums = aggregate(layer, torch.rand(5, 3, 8, 8))
    >>> table(layer, sums).shape, sums.samples
    (torch.Size([4, 3]), 5)
    """
    accumulator = Accumulator(layer, maps, backend)
    accumulator.add(x)
    return accumulator.sums()


def table(layer: WeightedLayer, sums: LayerSums, rows: Tensor | None = None) -> Tensor:
    """Return `sum_n max(s_{n,q,p}, 0)`, float64 `[Q, P/groups]`, or only its `rows` (int64 `[R]`).

    Source: the rectified contributions of a category before normalisation, Model LEGO (arXiv 2203.13453).

    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -3.0]]))
    >>> table(layer, aggregate(layer, torch.tensor([[1.0, 1.0], [1.0, -1.0]])))
    tensor([[4., 3.]], dtype=torch.float64)
    """
    groups = group_count(layer)
    count = layer.weight.shape[0]
    if rows is None:
        rows = torch.arange(count)
    group, within = rows // (count // groups), rows % (count // groups)
    if sums.pairs is not None:
        return sums.pairs.view(groups, -1, count // groups)[group, :, within]
    assert sums.positive is not None
    assert sums.negative is not None
    weight = layer.weight.detach().flatten(1)[rows].cpu().double()
    positive, negative = (side.view(groups, -1) for side in (sums.positive, sums.negative))
    if groups == 1:
        return weight.clamp(min=0) * positive - weight.clamp(max=0) * negative
    return weight.clamp(min=0) * positive[group] - weight.clamp(max=0) * negative[group]


def group_count(layer: WeightedLayer) -> int:
    """Return the number of groups of a layer: 1 for a linear one."""
    return 1 if isinstance(layer, nn.Linear) else layer.groups

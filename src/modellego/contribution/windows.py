"""Window sums: the sum of a layer's input under each kernel offset, which replaces all hidden feature maps.

The spatial sum commutes with the convolution: with `S[n,p,k]` the sum of the padded, strided input `p` of
sample `n` under kernel offset `k`, the paper's contribution `s_{q,p}` (Model LEGO, arXiv 2203.13453) is
`s[n,q,p] = sum_k W[q,p,k] S[n,p,k]`. Which positions stand under which offset is a matrix of small whole
numbers, so one matrix product reads the input once.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d
DIRECT_LIMIT = 1 << 19  # entries of the one-step matrix; above it one axis is summed after the other


@dataclass(frozen=True)
class Axis:
    """How a kernel walks along one spatial axis: size, stride, dilation, and the padding before and after."""

    taps: int
    stride: int
    dilation: int
    before: int
    after: int
    mode: str


@dataclass(frozen=True)
class Window:
    """How a layer's kernel walks over its input; equal windows on equal inputs have equal window sums."""

    axes: tuple[Axis, ...]

    @property
    def taps(self) -> int:
        """The number of kernel offsets."""
        return int(np.prod([axis.taps for axis in self.axes], dtype=np.int64))


def window_of(layer: Conv) -> Window:
    """Return the window of a convolution.

    >>> window_of(nn.Conv2d(3, 8, 3, padding="same")).axes[0]
    Axis(taps=3, stride=1, dilation=1, before=1, after=1, mode='zeros')
    """
    axes = []
    for i, taps in enumerate(layer.kernel_size):
        dilation, padding = layer.dilation[i], layer.padding
        if padding == "same":
            total = dilation * (taps - 1)
            before, after = total // 2, total - total // 2
        elif padding == "valid":
            before = after = 0
        else:
            before = after = int(padding[i])
        axes.append(Axis(taps, layer.stride[i], dilation, before, after, layer.padding_mode))
    return Window(tuple(axes))


def axis_matrix(axis: Axis, size: int) -> NDArray[np.int64]:
    """Count how often each of `size` positions stands under each kernel offset.

    Returns an int64 array `[size, taps]`.

    >>> axis_matrix(Axis(3, 1, 1, 1, 1, "zeros"), 4)
    array([[1, 1, 0],
           [1, 1, 1],
           [1, 1, 1],
           [0, 1, 1]])
    """
    width = (axis.before, axis.after)
    if axis.mode == "zeros":
        source = np.pad(np.arange(size), width, constant_values=-1)
    else:
        mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[axis.mode]
        source = np.pad(np.arange(size), width, mode=mode)  # type: ignore[call-overload]
    reach = axis.dilation * (axis.taps - 1)
    starts = np.arange(0, len(source) - reach, axis.stride)
    counts = np.zeros((size, axis.taps), dtype=np.int64)
    for k in range(axis.taps):
        under = source[starts + k * axis.dilation]
        np.add.at(counts[:, k], under[under >= 0], 1)
    return counts


@lru_cache(maxsize=64)
def _matrices(window: Window, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """The matrices to apply: one over all positions where that is small enough, else one per axis."""
    parts = [axis_matrix(axis, size) for axis, size in zip(window.axes, shape, strict=True)]
    if np.prod(shape, dtype=np.int64) * window.taps <= DIRECT_LIMIT:
        whole = parts[0]
        for part in parts[1:]:
            whole = np.kron(whole, part)
        parts = [whole]
    return tuple(torch.from_numpy(part).to(device, dtype) for part in parts)


def window_sums(x: Tensor, window: Window) -> Tensor:
    """Sum the input `x` `[N, P, *spatial]` under each kernel offset.

    Returns `[N, P, K]` of the dtype of `x`, offsets in the order of the flattened kernel.

    >>> window_sums(torch.ones(1, 2, 4), window_of(nn.Conv1d(2, 5, 3, padding=1)))
    tensor([[[3., 4., 3.],
             [3., 4., 3.]]])
    """
    n, p, *shape = x.shape
    matrices = _matrices(window, tuple(shape), x.dtype, x.device)
    if len(matrices) > 1:
        return _separable(x, matrices)
    (matrix,) = matrices
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    if last is not None and not x.is_contiguous() and x.is_contiguous(memory_format=last):
        positions = x.movedim(1, -1).reshape(n, -1, p)  # a view: no copy of the input
        return torch.matmul(matrix.t(), positions).transpose(1, 2).contiguous()
    flat = x.reshape(n * p, -1)
    if matrix.shape[1] == 1:
        return torch.mv(flat, matrix[:, 0]).view(n, p, 1)
    return torch.mm(flat, matrix).view(n, p, -1)


def _separable(x: Tensor, matrices: tuple[Tensor, ...]) -> Tensor:
    """Sum one axis after the other: the last spatial axis first, its offsets appended behind."""
    rank = len(matrices)
    for done, matrix in enumerate(reversed(matrices)):
        # the axis to sum is the last spatial one that is left; offsets found so far stand behind it
        x = torch.tensordot(x, matrix, dims=([x.dim() - 1 - done], [0]))
    # now [N, P, k_last, ..., k_first]: turn the offsets round
    return x.permute(0, 1, *range(rank + 1, 1, -1)).reshape(*x.shape[:2], -1)

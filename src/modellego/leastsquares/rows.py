"""Rows of a layer's linear model: what each sampled output position reads, as a matrix; weights as a matrix beside it.

A convolution or linear layer is `output row = input row @ W` at every position, group by group. Rows are gathered by
index at sampled positions, so that no unfolded copy of a whole feature map is ever made.
"""

import itertools
import math

import torch
from torch import Tensor, nn

from modellego.capture.layers import WeightedLayer


def fittable(layer: nn.Module) -> bool:
    """Whether a layer's output is linear in its weights in a way this package fits (zero-padded conv, or linear).

    >>> fittable(nn.Conv2d(2, 2, 3)), fittable(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"))
    (True, False)
    """
    if isinstance(layer, nn.Linear):
        return True
    return isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) and layer.padding_mode == "zeros"


def groups_of(layer: WeightedLayer) -> int:
    """Return the number of groups of a layer (1 for a linear layer)."""
    return 1 if isinstance(layer, nn.Linear) else layer.groups


def per_image(layer: WeightedLayer, shape: tuple[int, ...]) -> int:
    """Return how many output rows one image gives, from the layer's output shape at batch 1.

    >>> per_image(nn.Conv2d(3, 8, 3), (1, 8, 4, 5)), per_image(nn.Linear(3, 8), (1, 7, 8))
    (20, 7)
    """
    return math.prod(shape[1:-1]) if isinstance(layer, nn.Linear) else math.prod(shape[2:])


def pick_positions(images: Tensor, total: int, wanted: int, seed: int) -> Tensor | None:
    """Pick `wanted` of `total` positions for each image, int64 `[B, wanted]`; None stands for all of them.

    `images` int64 `[B]` are the images' numbers: what is picked of an image follows from its number and the seed alone,
    so that it is the same in whatever batches, and in whatever processes, the images are worked on.

    >>> pick_positions(torch.arange(2), 4, 9, seed=0) is None
    True
    >>> picked = pick_positions(torch.arange(5), 9, 4, seed=0)
    >>> picked.shape, bool((picked[3:] == pick_positions(torch.arange(3, 5), 9, 4, seed=0)).all())
    (torch.Size([5, 4]), True)
    """
    if wanted >= total:
        return None
    places = images.reshape(-1, 1) * total + torch.arange(total)
    return _mixed(_mixed(places) + seed).topk(max(wanted, 1), dim=1).indices


def _mixed(numbers: Tensor) -> Tensor:
    """Return for each int64 another that looks random, the same wherever it stands (splitmix64, Steele et al. 2014)."""
    numbers = (numbers + 1) * -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685), (31, 1)):
        numbers = (numbers ^ ((numbers >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return numbers


def _flat(positions: Tensor | None, images: int, total: int) -> tuple[Tensor, Tensor]:
    """Return the image number and the position of each row, int64 `[M]` each."""
    if positions is None:
        positions = torch.arange(total).expand(images, total)
    number = torch.arange(images)[:, None].expand_as(positions)
    return number.reshape(-1), positions.reshape(-1)


def output_rows(layer: WeightedLayer, y: Tensor, positions: Tensor | None) -> Tensor:
    """Return the sampled rows `[M, Q]` of an output `[B, Q, *spatial]` (convolution) or `[B, ..., Q]` (linear).

    >>> output_rows(nn.Conv2d(3, 8, 1), torch.rand(2, 8, 4, 5), None).shape
    torch.Size([40, 8])
    """
    if isinstance(layer, nn.Linear):
        rows = y.reshape(len(y), -1, y.shape[-1])
        number, place = _flat(positions, len(y), rows.shape[1])
        return rows[number, place] if positions is not None else rows.flatten(0, 1)
    flat = y.flatten(2)
    number, place = _flat(positions, len(y), flat.shape[2])
    return flat[number, :, place]


def input_rows(layer: WeightedLayer, x: Tensor, out_spatial: tuple[int, ...], positions: Tensor | None) -> Tensor:
    """Return what the sampled output positions read, `[groups, M, P/groups * kernel offsets]`.

    `x` is the layer's input, `out_spatial` the spatial size of its output (empty for a linear layer). With all
    positions, `input_rows(...) @ weight_matrix(layer)` is the layer's output but for the bias.

    >>> layer = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False)
    >>> x = torch.rand(3, 4, 5, 5)
    >>> rows = input_rows(layer, x, (3, 3), None)
    >>> y = torch.cat(list(rows @ weight_matrix(layer).float()), 1)
    >>> torch.allclose(y, output_rows(layer, layer(x), None), atol=1e-5)
    True
    """
    if isinstance(layer, nn.Linear):
        return output_rows(layer, x, positions)[None]
    number, place = _flat(positions, len(x), math.prod(out_spatial))
    padded = nn.functional.pad(x, _pads(layer)).movedim(1, -1).contiguous()
    sizes = padded.shape[1:-1]
    table = padded.reshape(-1, padded.shape[-1])
    corner = number
    shift: list[int] = []
    for axis, size in enumerate(sizes):
        inner = math.prod(out_spatial[axis + 1 :])
        corner = corner * size + (place // inner) % out_spatial[axis] * layer.stride[axis]
        shift = [s * size for s in shift] + [1]
    parts = []
    for offset in itertools.product(*(range(k) for k in layer.kernel_size)):
        step = sum(o * d * s for o, d, s in zip(offset, layer.dilation, shift, strict=True))
        parts.append(table.index_select(0, corner + step))
    rows = torch.stack(parts, 2) if len(parts) > 1 else parts[0][:, :, None]
    return rows.reshape(len(rows), layer.groups, -1).transpose(0, 1)


def _pads(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> list[int]:
    if isinstance(layer.padding, str):
        if layer.padding == "valid":
            return [0] * (2 * len(layer.kernel_size))
        total = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        return [p for t in reversed(total) for p in (t // 2, t - t // 2)]
    return [p for pad in reversed(layer.padding) for p in (pad, pad)]


def weight_matrix(layer: WeightedLayer) -> Tensor:
    """Return a layer's weight as float64 `[groups, P/groups * kernel offsets, Q/groups]`."""
    groups = groups_of(layer)
    return layer.weight.detach().double().reshape(groups, layer.weight.shape[0] // groups, -1).transpose(1, 2)


def set_weight_matrix(layer: WeightedLayer, matrix: Tensor) -> None:
    """Write a matrix in the form of `weight_matrix` into a layer's weight, in place."""
    with torch.no_grad():
        layer.weight.copy_(matrix.transpose(1, 2).reshape(layer.weight.shape))


def bias_of(layer: WeightedLayer) -> Tensor:
    """Return a layer's bias as float64 `[Q]`, zeros where it has none."""
    if layer.bias is None:
        return torch.zeros(layer.weight.shape[0], dtype=torch.float64)
    return layer.bias.detach().double()

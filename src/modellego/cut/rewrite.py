"""Write an op's constant arguments anew where the axis they speak of has been cut: sizes, splits, slices, pads."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from modellego.capture.ops import op_name
from modellego.capture.walk import attribute
from modellego.channels.channel_map import ChannelMap, Ids, KeepMask
from modellego.channels.structure import argument

_SIZED = {
    "view.default": 1,
    "reshape.default": 1,
    "_unsafe_view.default": 1,
    "expand.default": 1,
    "broadcast_to.default": 1,
    "unflatten.int": 2,
}


def kept_along(ids: Ids, keep: KeepMask, shape: tuple[int, ...], axis: int) -> NDArray[np.bool_]:
    """Return which positions along an axis of a tensor are kept, bool [shape[axis]]."""
    line = np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)[:, 0]
    kept = (line < 0) | keep[np.maximum(line, 0)]
    return (
        np.broadcast_to(kept, (shape[axis],))
        if ids.shape[axis] == 1 and ids.size == 1
        else _stretch(kept, ids, shape, axis)
    )


def _stretch(kept: NDArray[np.bool_], ids: Ids, shape: tuple[int, ...], axis: int) -> NDArray[np.bool_]:
    return kept if ids.shape[axis] == shape[axis] else np.ones(shape[axis], dtype=np.bool_)


def new_shape(ids: Ids, keep: KeepMask, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a tensor's shape after the cut.

    >>> new_shape(np.array([[[0], [1]]]), np.array([True, False]), (1, 2, 5))
    (1, 1, 5)
    """
    return tuple(int(kept_along(ids, keep, shape, a).sum()) if ids.shape[a] > 1 else s for a, s in enumerate(shape))


def rewrite(old: fx.Node, new: fx.Node, channels: ChannelMap, keep: KeepMask, root: dict[str, Any]) -> None:
    """Change `new`, a copy of `old` in the cut graph, in place, where its arguments speak of an axis that was cut.

    Constants that this needs are put into `root`, by name.
    """
    name = (op_name(old.target) or "").removeprefix("aten.")
    if name in _SIZED:
        _resize(old, new, channels, keep, _SIZED[name])
    elif name in ("split.Tensor", "split_with_sizes.default", "chunk.default", "tensor_split.sections"):
        _resplit(old, new, channels, keep)
    elif name in ("slice.Tensor", "narrow.default"):
        _reslice(old, new, channels, keep, root)
    elif name == "index_select.default":
        _reselect(old, new, channels, keep, root)
    elif name in ("pad.default", "constant_pad_nd.default"):
        _repad(old, new, channels, keep)
    elif name.startswith("scaled_dot_product_attention") and argument(old, "scale") is None:
        query = old.args[0]
        assert isinstance(query, fx.Node)
        new.kwargs = {**new.kwargs, "scale": 1.0 / math.sqrt(query.meta["shape"][-1])}


def _resize(old: fx.Node, new: fx.Node, channels: ChannelMap, keep: KeepMask, position: int) -> None:
    if old.name not in channels.ids:
        return  # a constant expanded to the batch, without channels
    ids, shape = channels.ids[old.name], old.meta["shape"]
    after = new_shape(ids, keep, shape)
    sizes = list(new.args[position])  # type: ignore[arg-type]
    first = int(argument(old, "dim", 0)) % len(old.args[0].meta["shape"]) if position == 2 else len(shape) - len(sizes)  # type: ignore[union-attr]
    for i, size in enumerate(sizes):
        if after[first + i] == shape[first + i] or size == -1:
            continue
        if isinstance(size, int):
            sizes[i] = after[first + i]
        else:  # channels folded into the batch axis (heads): torch works it out
            sizes[i] = -1
    args = list(new.args)
    args[position] = sizes
    new.args = tuple(args)


def _axis(old: fx.Node, channels: ChannelMap) -> tuple[int, Ids, tuple[int, ...]]:
    source: Any = old.args[0]
    shape = source.meta["shape"]
    return int(argument(old, "dim", 0)) % len(shape), channels.ids[source.name], shape


def _resplit(old: fx.Node, new: fx.Node, channels: ChannelMap, keep: KeepMask) -> None:
    dim, ids, _ = _axis(old, channels)
    if ids.shape[dim] == 1:
        return
    taken = [u.meta["shape"] for u in old.users if "shape" in u.meta]
    sizes = []
    for part in channels.parts[old.name]:
        shape = list(taken[0])
        shape[dim] = part.shape[dim]
        sizes.append(int(kept_along(part, keep, tuple(shape), dim).sum()) if part.shape[dim] > 1 else -1)
    if -1 in sizes:  # a part of one group only: count its positions in the whole
        sizes = _part_sizes(old, ids, keep, dim)
    new.target = torch.ops.aten.split_with_sizes.default
    new.args = (new.args[0], sizes, dim)
    new.kwargs = {}


def _part_sizes(old: fx.Node, ids: Ids, keep: KeepMask, dim: int) -> list[int]:
    source: Any = old.args[0]
    marks = torch.arange(source.meta["shape"][dim])
    args = [marks, *old.args[1:]]
    if len(args) > 2:
        args[2] = 0
    parts = old.target(*args, **{k: (0 if k == "dim" else v) for k, v in old.kwargs.items()})  # type: ignore[operator]
    kept = kept_along(ids, keep, source.meta["shape"], dim)
    return [int(kept[p.numpy()].sum()) for p in parts]


def _reslice(old: fx.Node, new: fx.Node, channels: ChannelMap, keep: KeepMask, root: dict[str, Any]) -> None:
    dim, ids, shape = _axis(old, channels)
    if ids.shape[dim] == 1:
        return
    size = shape[dim]
    start = int(argument(old, "start", 0))
    if argument(old, "length") is not None:  # narrow
        stop, step = start + int(argument(old, "length")), 1
    else:
        stop, step = int(argument(old, "end", size)), int(argument(old, "step", 1))
    positions = np.arange(size)[slice(start, stop, step)]
    kept = kept_along(ids, keep, shape, dim)
    wanted = _ranks(kept, positions)
    if step == 1:
        new.target = torch.ops.aten.slice.Tensor
        first = int(wanted[0]) if wanted.size else 0
        new.args = (new.args[0], dim, first, first + int(wanted.size))
        new.kwargs = {}
    else:
        _select(new, dim, wanted, root)


def _reselect(old: fx.Node, new: fx.Node, channels: ChannelMap, keep: KeepMask, root: dict[str, Any]) -> None:
    dim, ids, shape = _axis(old, channels)
    if ids.shape[dim] == 1:
        return
    index = attribute(old.graph.owning_module, str(old.args[2].target))  # type: ignore[union-attr]
    _select(new, dim, _ranks(kept_along(ids, keep, shape, dim), index.cpu().numpy()), root)


def _ranks(kept: NDArray[np.bool_], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where those of the positions that are kept stand after the cut."""
    ranks: NDArray[np.int64] = (np.cumsum(kept) - 1)[positions[kept[positions]]]
    return ranks


def _select(new: fx.Node, dim: int, positions: NDArray[np.int64], root: dict[str, Any]) -> None:
    """Make a node pick positions by a constant of its own."""
    path = f"kept_{new.name}"
    root[path] = torch.from_numpy(positions)
    with new.graph.inserting_before(new):
        index = new.graph.get_attr(path)
    index.meta["shape"] = (int(positions.size),)
    new.target = torch.ops.aten.index_select.default
    new.args = (new.args[0], dim, index)
    new.kwargs = {}


def _repad(old: fx.Node, new: fx.Node, channels: ChannelMap, keep: KeepMask) -> None:
    ids, shape = channels.ids[old.name], old.meta["shape"]
    pads = list(argument(old, "pad"))
    for i in range(len(pads) // 2):
        axis = len(shape) - 1 - i
        if ids.shape[axis] > 1 and (pads[2 * i] or pads[2 * i + 1]):
            kept = kept_along(ids, keep, shape, axis)
            before, after = pads[2 * i], pads[2 * i + 1]
            pads[2 * i], pads[2 * i + 1] = int(kept[:before].sum()), int(kept[len(kept) - after :].sum())
    args = list(new.args)
    args[1] = pads
    new.args = tuple(args)

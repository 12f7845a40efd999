"""Ops without weights, padded: what works channel by channel passes, what mixes channels is refused by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx

from modellego.assembly.padding.placement import Placement, positions_of, side_by_side
from modellego.assembly.padding.structure import pad_part, pad_structural
from modellego.assembly.padding.topology import Step, same_literals
from modellego.assembly.padding.walk import Laid, PadWalk, Parts, all_equal, as_kind_of
from modellego.capture.ops import FAMILY, op_name
from modellego.channels.channel_map import Ids
from modellego.channels.structure import argument


def pad_op(walk: PadWalk, step: Step) -> Laid | Parts:
    """Add one op for all bricks, or refuse it by name."""
    name = op_name(step[0].target) or ""
    if name == "operator.getitem" and isinstance(found := walk.values[step[0].args[0]], Parts):  # type: ignore[index]
        return pad_part(walk, step, found)
    if walk.all_shared(step):
        return walk.copy_shared(step)
    return _RULES.get(FAMILY.get(name, "opaque"), _refused)(walk, step)


def _refused(walk: PadWalk, step: Step) -> Laid:
    walk.refuse(step, "it may mix the channels of both")


def _sources(step: Step) -> list[fx.Node]:
    return [n for n in step[0].all_input_nodes if n.op != "get_attr" and "shape" in n.meta]


def _together(walk: PadWalk, step: Step) -> Laid:
    """Tensors meet position by position: their channels are brought into one order first."""
    if not same_literals(step):
        walk.refuse(step, "it works with different numbers in each")
    ndim = len(step[0].meta["shape"])
    tensors = _sources(step)
    axes = {
        t.placement.axis + ndim - len(n.meta["shape"]) for n in tensors if (t := walk.tensor(n)).placement is not None
    }
    if len(axes) > 1:
        walk.refuse(step, "channels meet along different axes")
    axis = axes.pop() if axes else 1
    sizes = [int(n.meta["shape"][axis]) for n in step]
    placement = _common_order(walk, step, tensors, axis, sizes)
    swaps = {n: _met(walk, step, n, axis, placement) for n in tensors}
    for node in step[0].all_input_nodes:
        if node.op == "get_attr":
            swaps[node] = _constant(walk, step, node, placement, sizes)
    return walk.emit_like(step, placement, swaps)


def _common_order(walk: PadWalk, step: Step, tensors: list[fx.Node], axis: int, sizes: list[int]) -> Placement:
    """Take the order of the first tensor that has all the channels."""
    for place, node in enumerate(tensors):
        placement = walk.tensor(node).placement
        own = [_sources((n,))[place].meta["shape"] for n in step]
        shift = len(step[0].meta["shape"]) - len(own[0])
        if placement is not None and [s[axis - shift] for s in own] == sizes:
            return placement.moved(axis)
    return side_by_side(axis, sizes)


def _met(walk: PadWalk, step: Step, node: fx.Node, axis: int, placement: Placement) -> fx.Node:
    """Return a tensor as it meets the others: channels in their order, one channel repeated where it was broadcast."""
    laid = walk.tensor(node)
    shape = laid.node.meta["shape"]
    own_axis = axis - (len(step[0].meta["shape"]) - len(node.meta["shape"]))
    if laid.placement is None:
        if own_axis < 0 or shape[own_axis] == 1:
            return laid.node
        return walk.pick(laid.node, own_axis, placement.place)
    counts = np.bincount(laid.placement.brick, minlength=len(step))
    place = np.where(counts[placement.brick] > 1, placement.place, 0)
    return walk.pick(laid.node, own_axis, positions_of(laid.placement, placement.brick, place))


def _constant(walk: PadWalk, step: Step, node: fx.Node, placement: Placement, sizes: list[int]) -> fx.Node:
    """Return a constant as it meets a padded tensor: shared where all agree, else one entry per channel."""
    tensors = walk.tensors_of(step, node)
    ndim = len(step[0].meta["shape"])
    back = ndim - placement.axis  # the axis, counted from the end
    flat = all(t.ndim < back or t.shape[-back] == 1 for t in tensors)
    if flat and all_equal(tensors):
        return walk.shared_constants(step)[node]
    key = (str(node.target), back, placement.brick.tobytes(), placement.place.tobytes())
    if key not in walk.constants:
        wide = [t.reshape((1,) * max(0, back - t.ndim) + tuple(t.shape)) for t in tensors]
        rests = [(*w.shape[:-back], *w.shape[w.ndim - back + 1 :]) for w in wide]
        if any(r != rests[0] for r in rests):
            walk.refuse(step, "its constants differ in shape")
        order = positions_of(side_by_side(placement.axis, sizes), placement.brick, placement.place)
        shape = list(wide[0].shape)
        shape[-back] = len(placement)
        walk.constants[key] = walk.constant(
            str(node.target), lambda: as_kind_of(_gathered(wide, back, sizes, order), tensors), shape
        )
    return walk.constants[key]


def _gathered(tensors: list[torch.Tensor], back: int, sizes: list[int], order: Ids) -> torch.Tensor:
    parts = []
    for tensor, size in zip(tensors, sizes, strict=True):
        shape = list(tensor.shape)
        shape[-back] = size
        parts.append(tensor.detach().expand(shape))
    return torch.cat(parts, -back).index_select(-back, torch.from_numpy(order).to(parts[0].device))


def _spatial(walk: PadWalk, step: Step) -> Laid:
    """Positions along the last axes are pooled or resampled, channel by channel."""
    axes = 1 if "1d" in str(step[0].target) else 3 if "3d" in str(step[0].target) else 2
    return _along(walk, step, list(range(-axes, 0)), kept=True)


def _reduction(walk: PadWalk, step: Step) -> Laid:
    """An axis that is not the channels' is summed, averaged or normalised away."""
    dims = argument(step[0], "dim")
    axes = list(dims) if isinstance(dims, list | tuple) else [] if dims is None else [dims]
    name = (op_name(step[0].target) or "").removeprefix("aten.").lstrip("_")
    stays = name.startswith(("softmax", "log_softmax", "cumsum"))
    kept = stays or bool(argument(step[0], "keepdim", False))
    return _along(walk, step, axes or list(range(len(_sources(step)[0].meta["shape"]))), kept)


def _along(walk: PadWalk, step: Step, axes: list[int], kept: bool) -> Laid:
    """Add an op that works along some axes of one tensor, none of which may be the channels'."""
    sources = _sources(step)
    if len(sources) != 1 or not same_literals(step):
        walk.refuse(step, "it works with different numbers in each, or on several tensors")
    source = walk.spread(walk.tensor(sources[0]), 1)
    assert source.placement is not None
    ndim = len(sources[0].meta["shape"])
    gone = {int(a) % ndim for a in axes}
    axis = source.placement.axis
    if axis in gone:
        walk.refuse(step, "it mixes the channels of both")
    after = axis if kept else axis - sum(a < axis for a in gone)
    return walk.emit_like(step, source.placement.moved(after), {sources[0]: source.node})


def _pad(walk: PadWalk, step: Step) -> Laid:
    """Padding: beside positions as it is; zeros beside channels become both bricks' channels of zeros."""
    source = walk.spread(walk.tensor(_sources(step)[0]), 1)
    placement = source.placement
    assert placement is not None
    pads = [[int(p) for p in argument(n, "pad")] for n in step]
    rest = {str((argument(n, "mode", "constant"), argument(n, "value"))) for n in step}
    at = 2 * (len(step[0].meta["shape"]) - 1 - placement.axis)
    others = [p[:at] + p[at + 2 :] for p in pads]
    if len(rest) > 1 or any(o != others[0] for o in others) or any(len(p) != len(pads[0]) for p in pads):
        walk.refuse(step, "it pads by different numbers in each")
    total = list(pads[0])
    if at < len(total):
        if min(min(p[at], p[at + 1]) for p in pads) < 0 or "constant" not in str(rest):
            walk.refuse(step, "it crops or repeats channels")
        total[at], total[at + 1] = (sum(p[at + side] for p in pads) for side in (0, 1))
        placement = _with_zeros(placement, [p[at] for p in pads], [p[at + 1] for p in pads])
    args = (step[0].args[0], total, *step[0].args[2:])
    return walk.emit_like(step, placement, {_sources(step)[0]: source.node}, args)


def _with_zeros(placement: Placement, before: list[int], after: list[int]) -> Placement:
    sizes = np.bincount(placement.brick, minlength=len(before))
    first, last = side_by_side(placement.axis, before), side_by_side(placement.axis, after)
    starts = np.asarray(before, dtype=np.int64)
    place = [first.place, placement.place + starts[placement.brick], last.place + (starts + sizes)[last.brick]]
    return Placement(placement.axis, np.concatenate([first.brick, placement.brick, last.brick]), np.concatenate(place))


def _scalar(walk: PadWalk, step: Step) -> Laid:
    """Sizes must be the same in all bricks; taking one of several outputs keeps the placement."""
    node: Any = step[0]
    if op_name(node.target) == "operator.getitem":
        return walk.emit_like(step, walk.tensor(node.args[0]).placement)
    source = walk.tensor(node.args[0])
    if op_name(node.target) == "aten.sym_size.int" and source.placement is not None:
        axis = int(node.args[1]) % len(node.args[0].meta["shape"])
        if axis != source.placement.axis:
            return Laid(walk.emit_like(step, None).node, None)
    walk.refuse(step, "it works out a size from the number of channels")


_RULES: dict[str, Callable[[PadWalk, Step], Laid | Parts]] = {
    "elementwise": _together,
    "binary": _together,
    "spatial": _spatial,
    "structural": pad_structural,
    "reduction": _reduction,
    "pad": _pad,
    "scalar": _scalar,
}

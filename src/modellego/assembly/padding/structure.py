"""Ops that move positions about, padded: run on the positions themselves, and made right where that alone is not.

Each brick's op is executed on the positions of that brick's own tensor; that says what must come out. The padded
op is executed on the positions of the padded tensor. Where all of the bricks' results are found in what comes out,
along one axis, the op serves as it is, and what was found is the placement of its result. Else channels are picked
directly, and where that does not do either, each brick's part goes through its own op and they are put together again.
"""

from typing import Any

import numpy as np
import torch
from torch import fx

from modellego.assembly.padding.placement import Placement, interleaved, positions_of, read_placement, side_by_side
from modellego.assembly.padding.topology import Step
from modellego.assembly.padding.walk import Laid, PadWalk, Parts, copied
from modellego.capture.ops import op_name
from modellego.channels.channel_map import Ids
from modellego.channels.structure import argument, execute

_aten = torch.ops.aten
_SIZED = {
    "view.default": 1, "reshape.default": 1, "_unsafe_view.default": 1, "expand.default": 1, "broadcast_to.default": 1,
    "unflatten.int": 2,
}  # fmt: skip
_FAILURES = (RuntimeError, ValueError, NotImplementedError, TypeError, IndexError)


def pad_structural(walk: PadWalk, step: Step) -> Laid | Parts:
    """Add a structural op for all bricks."""
    node = step[0]
    name = (op_name(node.target) or "").removeprefix("aten.")
    if name in ("cat.default", "stack.default"):
        return _join(walk, step, stacked=name.startswith("stack"))
    sources = [n for n in node.all_input_nodes if n.op != "get_attr" and "shape" in n.meta]
    if len(sources) != 1:
        walk.refuse(step, "it reads several tensors")
    own = [next(n for n in other.all_input_nodes if n.op != "get_attr" and "shape" in n.meta) for other in step]
    source = walk.spread(walk.tensor(sources[0]), 1)
    try:
        results = [_run(n, s, _numbered(own, k)) for k, (n, s) in enumerate(zip(step, own, strict=True))]
    except _FAILURES:
        walk.refuse(step, "its channels cannot be followed")
    if isinstance(results[0], list):
        counts = {len(r) for r in results}
        if len(counts) > 1:
            walk.refuse(step, "it makes different numbers of parts")
        return Parts(source, step, [[r[i] for r in results] for i in range(counts.pop())])
    return _realise(walk, step, own, source, results)  # type: ignore[arg-type]


def pad_part(walk: PadWalk, step: Step, parts: Parts) -> Laid:
    """Add what `getitem` takes from a split."""
    index = int(step[0].args[1])  # type: ignore[arg-type]
    expected = parts.expected[index]
    own = [n.args[0] for n in parts.step]
    picked = _pick(walk, parts.source, own, expected)  # type: ignore[arg-type]
    if picked is not None:
        return picked
    dim = int(argument(parts.step[0], "dim", 0)) % len(own[0].meta["shape"])  # type: ignore[union-attr]
    assert parts.source.placement is not None
    sizes = [e.shape for e in expected]
    if dim != parts.source.placement.axis and len(sizes[0]) == len(own[0].meta["shape"]):  # type: ignore[union-attr]
        before = sum(e[0].shape[dim] for e in parts.expected[:index])
        return Laid(walk.pick(parts.source.node, dim, before + np.arange(sizes[0][dim])), parts.source.placement)
    walk.refuse(parts.step, "its parts cannot be followed")


def _numbered(own: list[fx.Node], k: int) -> Ids:
    """Give each position of brick k's tensor a number of its own among all bricks'."""
    shapes = [tuple(n.meta["shape"]) for n in own]
    before = sum(int(np.prod(s)) for s in shapes[:k])
    return np.arange(before, before + int(np.prod(shapes[k])), dtype=np.int64).reshape(shapes[k])


def _padded_numbers(own: list[fx.Node], placement: Placement) -> Ids:
    """Return the numbers of all bricks' positions as they lie in the padded tensor."""
    sizes = [n.meta["shape"][placement.axis] for n in own]
    order = positions_of(side_by_side(placement.axis, sizes), placement.brick, placement.place)
    return np.concatenate([_numbered(own, k) for k in range(len(own))], axis=placement.axis).take(order, placement.axis)


def _run(node: fx.Node, source: fx.Node, numbers: Ids) -> Ids | list[Ids]:
    """Execute an op on numbered positions, the result at its full shape."""
    found = execute(node, {source: numbers})
    if isinstance(found, list):
        users = {int(u.args[1]): u.meta["shape"] for u in node.users if "shape" in u.meta}  # type: ignore[arg-type]
        return [np.broadcast_to(f, users.get(i, f.shape)) for i, f in enumerate(found)]
    return np.broadcast_to(found, node.meta["shape"])


def _realise(walk: PadWalk, step: Step, own: list[fx.Node], source: Laid, expected: list[Ids]) -> Laid:
    native = _as_it_is(walk, step, own, source, expected)
    if native is not None:
        return native
    return _pick(walk, source, own, expected) or _apart(walk, step, own, source)


def _axes(step: Step) -> list[int]:
    """Return the axes along which the bricks' results may lie side by side; the batch's is none of them."""
    shapes = [n.meta["shape"] for n in step]
    unlike = [a for a in range(1, len(shapes[0])) if len({s[a] for s in shapes}) > 1]
    return unlike if unlike else list(range(1, len(shapes[0])))


def _as_it_is(walk: PadWalk, step: Step, own: list[fx.Node], source: Laid, expected: list[Ids]) -> Laid | None:
    """Add the op with its sizes written anew, if all bricks' results are in what comes out."""
    node = step[0]
    assert source.placement is not None
    if any(n.op == "get_attr" for n in node.all_input_nodes):
        return None
    numbers = _padded_numbers(own, source.placement)
    for axis in _axes(step):
        shape = list(node.meta["shape"])
        if any(
            len(e.shape) != len(shape) or [*e.shape[:axis], *e.shape[axis + 1 :]] != [*shape[:axis], *shape[axis + 1 :]]
            for e in expected
        ):
            continue
        shape[axis] = sum(e.shape[axis] for e in expected)
        args = _resized(node, axis, shape[axis])
        if args is None:
            continue
        laid = walk.emit_like(step, Placement(axis, source.placement.brick, source.placement.place), args=args)
        try:
            numbered = np.broadcast_to(execute(laid.node, {source.node: numbers}), shape)
            placement = read_placement(numbered, expected, axis)
        except _FAILURES:
            placement = None
        if placement is not None:
            return Laid(laid.node, placement)
        walk.graph.erase_node(laid.node)
    return None


def _resized(node: fx.Node, axis: int, size: int) -> tuple[Any, ...] | None:
    """Return the op's arguments with a result of `size` along `axis`; None where they cannot say that."""
    name = (op_name(node.target) or "").removeprefix("aten.")
    position = _SIZED.get(name)
    if position is None or position >= len(node.args):
        return node.args
    sizes = list(node.args[position])  # type: ignore[arg-type]
    ndim = len(node.meta["shape"])
    source: Any = node.args[0]
    first = int(argument(node, "dim", 0)) % len(source.meta["shape"]) if position == 2 else ndim - len(sizes)
    if 0 <= axis - first < len(sizes) and sizes[axis - first] != -1:
        if not isinstance(sizes[axis - first], int):
            return None
        sizes[axis - first] = size
    return (*node.args[:position], sizes, *node.args[position + 1 :])


def _pick(walk: PadWalk, source: Laid, own: list[fx.Node], expected: list[Ids]) -> Laid | None:
    """Take channels out of the padded tensor, where each brick's op does no more than that.

    They are taken in the order in which they lie, so that neighbours make a slice.
    """
    placement = source.placement
    assert placement is not None
    bricks, places, taken = [], [], []
    for k, result in enumerate(expected):
        numbers = _numbered(own, k)
        if result.ndim != numbers.ndim:
            return None
        wanted = np.moveaxis(result, placement.axis, 0)
        held = np.moveaxis(numbers, placement.axis, 0)
        if wanted.shape[1:] != held.shape[1:]:
            return None
        first = held.reshape(len(held), -1)[:, 0]
        chosen = np.searchsorted(first, wanted.reshape(len(wanted), -1)[:, 0])
        if (chosen >= len(held)).any() or not np.array_equal(held[chosen], wanted):
            return None
        bricks.append(np.full(len(chosen), k, dtype=np.int64))
        places.append(np.arange(len(chosen), dtype=np.int64))
        taken.append(chosen.astype(np.int64))
    brick, place = np.concatenate(bricks), np.concatenate(places)
    positions = positions_of(placement, brick, np.concatenate(taken))
    order = np.argsort(positions, kind="stable")
    node = walk.pick(source.node, placement.axis, positions[order])
    return Laid(node, Placement(placement.axis, brick[order], place[order]))


def _apart(walk: PadWalk, step: Step, own: list[fx.Node], source: Laid) -> Laid:
    """Send each brick's part through its own op, and put the results side by side."""
    assert source.placement is not None
    axes = _axes(step)
    if len(axes) > 1 and len({tuple(n.meta["shape"]) for n in step}) > 1:
        walk.refuse(step, "the bricks' results differ along several axes")
    axis = axes[0]
    results = []
    for k, node in enumerate(step):
        swaps: dict[fx.Node, fx.Node] = {}
        for n in node.all_input_nodes:
            if n is own[k]:
                swaps[n] = walk.own_part(source, k, n.meta["shape"][source.placement.axis])
            elif n.op == "get_attr":
                tensor = walk.tensors_of(step, next(c for c in step[0].all_input_nodes if c.op == "get_attr"))[k]
                swaps[n] = walk.constant(str(n.target), lambda t=tensor: copied(t), tensor.shape)  # type: ignore[misc]
            else:
                place = node.all_input_nodes.index(n)
                swaps[n] = walk.tensor(step[0].all_input_nodes[place]).node
        args = fx.node.map_arg(node.args, swaps.__getitem__)
        kwargs = fx.node.map_arg(dict(node.kwargs), swaps.__getitem__)
        results.append(walk.emit(node.target, args, kwargs, node.meta["shape"], like=node))
    shape = walk.padded_shape(step, axis)
    joined = walk.emit(_aten.cat.default, (results, axis), shape=shape)
    return Laid(joined, side_by_side(axis, [n.meta["shape"][axis] for n in step]))


def _join(walk: PadWalk, step: Step, stacked: bool) -> Laid:
    """Concatenate: along the channels columns interleave (A1 B1 A2 B2), along another axis orders must agree."""
    node = step[0]
    tensors: list[Any] = list(node.args[0])  # type: ignore[arg-type]
    if any(n.op == "get_attr" for n in tensors):
        walk.refuse(step, "a constant is put beside the channels")
    dim = int(argument(node, "dim", 0)) % len(node.meta["shape"])
    laid = [walk.tensor(n) for n in tensors]
    axes = {x.placement.axis for x in laid if x.placement is not None} or {1}
    if len(axes) > 1:
        walk.refuse(step, "the channels of what it joins lie along different axes")
    axis = axes.pop()
    laid = [walk.spread(x, axis) for x in laid]
    placements = [x.placement for x in laid if x.placement is not None]
    if dim == axis and not stacked:
        sizes = [[n.args[0][t].meta["shape"][axis] for n in step] for t in range(len(tensors))]  # type: ignore[index,union-attr]
        placement = interleaved(placements, sizes)
    else:
        if any(len(x) != len(placements[0]) for x in placements):
            walk.refuse(step, "what it joins has different channels")
        laid = [walk.arrange(x, placements[0]) for x in laid]
        placement = placements[0].moved(axis + 1 if stacked and dim <= axis else axis)
    args = ([x.node for x in laid], dim)
    shape = walk.padded_shape(step, placement.axis)
    return Laid(walk.emit(node.target, args, shape=shape, like=node), placement)

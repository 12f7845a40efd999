"""Run ops that only move positions about (`cat`, `view`, `permute`, `split`, ...) on integer arrays.

The channel analysis runs them on channel ids; back-to-front relevance runs them on positions, and scatters back. So
a channel shuffle or a flatten into a linear layer needs no rule of its own.
"""

from typing import Any

import numpy as np
import torch
from torch import fx

from modellego.capture.ops import op_name
from modellego.capture.walk import attribute
from modellego.channels.arrays import align, compress, expand_axes, varying
from modellego.channels.channel_map import Ids

_RESHAPES = {
    "view.default",
    "reshape.default",
    "_unsafe_view.default",
    "flatten.using_ints",
    "unflatten.int",
    "view_as.default",
    "reshape_as.default",
}
_WHOLE_AXES = {
    "transpose.int", "permute.default", "t.default", "movedim.int", "movedim.intlist", "unsqueeze.default",
    "swapaxes.default", "mT.default", "numpy_T.default",
}  # fmt: skip
_ONE_AXIS = {
    "split.Tensor", "split_with_sizes.default", "chunk.default", "tensor_split.sections", "unbind.int", "slice.Tensor",
    "select.int", "narrow.default", "index_select.default", "repeat_interleave.self_int",
}  # fmt: skip


def execute(node: fx.Node, arrays: dict[fx.Node, Ids]) -> Ids | list[Ids]:
    """Run a structural op on compressed int64 arrays, one for each tensor it reads, and return compressed results.

    Raises whatever torch raises where the op does not run on integers; the caller then keeps the tensors whole.
    """
    name = (op_name(node.target) or "").removeprefix("aten.")
    first = node.all_input_nodes[0]
    source = node.args[0] if isinstance(node.args[0], fx.Node) else first
    shape = source.meta["shape"]
    if name in _RESHAPES:
        return compress(_reshape(arrays[source], shape, node.meta["shape"]))
    if name in ("expand.default", "expand_as.default", "broadcast_to.default"):
        return align(arrays[source], len(node.meta["shape"]))
    if name in ("cat.default", "stack.default"):
        return _join(node, name, arrays)
    if name == "index_select.default" and arrays[source].shape[int(node.args[1])] == 1:  # type: ignore[arg-type]
        return arrays[source]  # whatever is picked along an axis without channels
    if name in _WHOLE_AXES:
        axes: tuple[int, ...] = ()
    elif name in _ONE_AXIS:
        dim = argument(node, "dim", 0)
        axes = (int(dim) % len(shape),) if dim is not None else tuple(range(len(shape)))
    else:
        axes = tuple(range(len(shape)))
    expanded = torch.from_numpy(np.array(expand_axes(arrays[source], shape, axes)))
    result = node.target(*_values(node.args, source, expanded), **_values(node.kwargs, source, expanded))  # type: ignore[operator]
    if isinstance(result, torch.Tensor):
        return compress(result.numpy())
    return [compress(r.numpy()) for r in result]


def argument(node: fx.Node, name: str, default: Any = None) -> Any:
    """Return an op's argument by its name in the schema, symbolic sizes as their value at batch 1."""
    schema = node.target._schema  # type: ignore[union-attr]
    for i, spec in enumerate(schema.arguments):
        if spec.name == name:
            value = node.args[i] if i < len(node.args) else node.kwargs.get(name, spec.default_value)
            value = fx.node.map_arg(value, lambda n: n.meta.get("value", n))
            return default if value is None else value
    return default


def _values(args: Any, source: fx.Node, array: torch.Tensor) -> Any:
    """Put the array in the source's place, sizes in the place of symbolic sizes, constants in that of `get_attr`."""

    def value(n: fx.Node) -> Any:
        if n is source:
            return array
        if "value" in n.meta:
            return n.meta["value"]
        if n.op == "get_attr":
            found = attribute(n.graph.owning_module, str(n.target))
            return found.cpu() if isinstance(found, torch.Tensor) else found
        raise ValueError(f"{n.name} depends on the data")

    return fx.node.map_arg(args, value)


def _reshape(ids: Ids, old: tuple[int, ...], new: tuple[int, ...]) -> Ids:
    """Reshape without expanding the leading and trailing axes that both shapes share and the ids do not vary along."""
    old, new = tuple(old), tuple(new)
    vary = varying(ids)
    tail = 0
    while tail < min(len(old), len(new)) and old[-1 - tail] == new[-1 - tail] and (len(old) - 1 - tail) not in vary:
        tail += 1
    head = 0
    while head < min(len(old), len(new)) - tail and old[head] == new[head] and head not in vary:
        head += 1
    middle = range(head, len(old) - tail)
    expanded = expand_axes(ids, old, middle)
    return expanded.reshape((1,) * head + new[head : len(new) - tail] + (1,) * tail)


def _join(node: fx.Node, name: str, arrays: dict[fx.Node, Ids]) -> Ids:
    tensors: list[fx.Node] = [t for t in node.args[0] if isinstance(t, fx.Node)]  # type: ignore[union-attr]
    ndim = len(node.meta["shape"])
    dim = int(argument(node, "dim", 0)) % ndim
    parts = []
    for tensor in tensors:
        ids, shape = arrays[tensor], tensor.meta["shape"]
        if len(shape) == 1 and shape[0] == 0:
            continue  # torch lets an empty list of positions take part
        stacked = name == "stack.default"
        parts.append(np.expand_dims(ids, dim) if stacked else expand_axes(ids, shape, (dim,)))
    full = [max(p.shape[a] for p in parts) for a in range(ndim)]
    parts = [np.broadcast_to(p, [p.shape[a] if a == dim else full[a] for a in range(ndim)]) for p in parts]
    return compress(np.concatenate(parts, axis=dim))

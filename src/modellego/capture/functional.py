"""Write in-place ops as their pure forms, through views too: whoever reads a changed tensor later reads the new one."""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

_aten = torch.ops.aten
# view op -> how a new value of the view is put back into what it is a view of: (base, value, the view's arguments)
_PUT_BACK: dict[Any, Callable[[fx.Graph, fx.Node, fx.Node, fx.Node], fx.Node]] = {
    _aten.slice.Tensor: lambda g, base, value, view: g.call_function(
        _aten.slice_scatter.default, (base, value, *view.args[1:]), view.kwargs
    ),
    _aten.select.int: lambda g, base, value, view: g.call_function(
        _aten.select_scatter.default, (base, value, *view.args[1:]), view.kwargs
    ),
    _aten.view.default: lambda g, base, value, view: g.call_function(_aten.view_as.default, (value, base)),
    _aten.unsqueeze.default: lambda g, base, value, view: g.call_function(
        _aten.squeeze.dim, (value, *view.args[1:]), view.kwargs
    ),
    _aten.transpose.int: lambda g, base, value, view: g.call_function(
        _aten.transpose.int, (value, *view.args[1:]), view.kwargs
    ),
}


def functionalise(graph: fx.GraphModule) -> None:
    """Replace, in place, every op that changes its first argument (`relu_`, `fill_`) by the op that returns the result.

    A change to a view (a slice of a table that is being filled) is written back into what it is a view of.
    """
    for node in list(graph.graph.nodes):
        pure = _pure(node)
        changed = node.args[0] if node.args else None
        if pure is None or not isinstance(changed, fx.Node):
            continue
        node.target = pure
        _read_later(changed, node)
        _write_back(graph.graph, changed, node)


def _pure(node: fx.Node) -> Any:
    """Return the pure form of an op that works in place, None for any other."""
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return None
    name = node.target._schema.name.split("::")[1]
    if not name.endswith("_") or name.endswith("__") or not node.target._schema.is_mutable:
        return None
    overload = node.target._overloadname
    if name == "pow_":  # whose pure forms bear other names
        overload = f"Tensor_{overload}"
    return getattr(getattr(_aten, name[:-1], None), overload, None)


def _read_later(old: fx.Node, new: fx.Node) -> None:
    """Let whoever reads the old node after the new one read the new one."""
    for user in list(old.users):
        if user > new:
            user.replace_input_with(old, new)


def _write_back(graph: fx.Graph, changed: fx.Node, value: fx.Node) -> None:
    """Put a view's new value into its base, and that into its own base, as far up as anyone reads on."""
    chain = [changed]
    while chain[-1].target in _PUT_BACK:
        chain.append(chain[-1].args[0])  # type: ignore[arg-type]
    last = max((i for i, base in enumerate(chain) if any(user > value for user in base.users)), default=0)
    after = value
    for view, base in itertools.pairwise(chain[: last + 1]):
        with graph.inserting_after(after):
            put = _PUT_BACK[view.target](graph, base, value, view)
        put.meta = {k: v for k, v in base.meta.items() if k in ("val", "nn_module_stack")}
        _read_later(base, put)
        value = after = put

"""Message passing in the form the channel analysis follows: rows picked by `index_select`, added up by `index_add`.

Graph libraries spell the sum of messages at each node as a scatter into zeros of a written-out size, by an index
expanded over the channels. The same sum by `index_add` needs no index per channel, so that channels can be cut.
"""

from typing import Any

import torch
from torch import fx

from modellego.capture.ops import FAMILY, op_name

_aten = torch.ops.aten
_SPREADS = (_aten.expand_as.default, _aten.expand.default, _aten.broadcast_to.default)
_ZEROS = (_aten.new_zeros.default, _aten.zeros.default)


def canonical_messages(graph: fx.GraphModule) -> None:
    """Rewrite, in place, scatters along the node axis as `index_add` and `index_reduce`; drop needless expansions.

    What is not of the known form stays, and is then kept whole or refused by the rooms behind.
    """
    for node in list(graph.graph.nodes):
        if node.target in (_aten.scatter_add.default, _aten.scatter_reduce.two):
            _rewrite_scatter(graph, node)
    for node in list(graph.graph.nodes):
        if node.target is _aten.expand_as.default and all(_broadcasts(user, node) for user in node.users):
            node.replace_all_uses_with(node.args[0])
    graph.graph.eliminate_dead_code()


def _rewrite_scatter(graph: fx.GraphModule, node: fx.Node) -> None:
    base, dim, index, source = node.args[:4]
    if not isinstance(index, fx.Node) or not isinstance(base, fx.Node) or not isinstance(source, fx.Node):
        return
    rows, ndim = _one_axis(index), source.meta["val"].dim()
    if dim != 0 or rows is None or base.target not in _ZEROS or ndim < 2:
        return
    sizes: Any = base.args[1 if base.target is _aten.new_zeros.default else 0]
    dtype = source.meta["val"].dtype
    with graph.graph.inserting_before(node):
        zero = _zero(graph, ndim, dtype)
        wide = graph.graph.call_function(_aten.expand.default, (zero, list(sizes)))
        if node.target is _aten.scatter_add.default:
            new = graph.graph.call_function(_aten.index_add.default, (wide, 0, rows, source))
        else:
            included = node.kwargs.get("include_self", node.args[5] if len(node.args) > 5 else True)
            args = (wide, 0, rows, source, node.args[4])
            new = graph.graph.call_function(_aten.index_reduce.default, args, {"include_self": included})
    for made in (wide, new):
        made.meta = dict(node.meta)
    node.replace_all_uses_with(new)


def _one_axis(index: fx.Node) -> fx.Node | None:
    """Return the index `[E]` that was viewed as `[E, 1, ...]` and expanded over the channels, or None."""
    if index.target in _SPREADS and isinstance(index.args[0], fx.Node):
        index = index.args[0]
    if index.target in (_aten.view.default, _aten.reshape.default) and isinstance(index.args[0], fx.Node):
        sizes = index.args[1]
        if list(sizes)[1:] == [1] * (len(sizes) - 1):  # type: ignore[arg-type]
            index = index.args[0]
    return index if index.meta["val"].dim() == 1 else None


def _zero(graph: fx.GraphModule, ndim: int, dtype: torch.dtype) -> fx.Node:
    """Return a node that reads a constant zero `[1, ..., 1]`; each sum has its own, as its channels are its own."""
    count = sum(str(n.target).startswith("zero_") for n in graph.graph.nodes if n.op == "get_attr")
    name = f"zero_{count}"
    graph.register_buffer(name, torch.zeros((1,) * ndim, dtype=dtype))
    node = graph.graph.get_attr(name)
    node.meta["val"] = torch.zeros((1,) * ndim, dtype=dtype, device="meta")
    return node


def _broadcasts(user: fx.Node, spread: fx.Node) -> bool:
    """Say whether an op takes an expanded tensor as well before it was expanded, the other operand being as large."""
    plain, model = spread.args
    name = op_name(user.target) or ""
    if not isinstance(plain, fx.Node) or FAMILY.get(name) != "binary" or "index" in name:
        return False
    wide = spread.meta["val"].shape
    if plain.meta["val"].dim() != len(wide):
        return False
    others = [n for n in user.all_input_nodes if n is not spread]
    return any(n is model or ("val" in n.meta and n.meta["val"].shape == wide) for n in others)

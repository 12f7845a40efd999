"""Bake what depends on no input: constant subgraphs of an exported program become single parameters or buffers.

Weight-standardised convolutions become plain ones here, and tables of relative positions become plain biases.
"""

from typing import Any

import torch
from torch import fx, nn

from modellego.capture.walk import attribute

# What makes a weight from other weights keeps the name of the first `weight` it is made from.
_ORIGIN = "origin"
# ops that take only type and place from a tensor, and what they fill the new one with (None: an argument)
_NEW: dict[Any, float | None] = {
    torch.ops.aten.new_zeros.default: 0,
    torch.ops.aten.zeros_like.default: 0,
    torch.ops.aten.new_ones.default: 1,
    torch.ops.aten.ones_like.default: 1,
    torch.ops.aten.new_full.default: None,
    torch.ops.aten.full_like.default: None,
}


def fold_constants(graph: fx.GraphModule) -> None:
    """Replace, in place, every constant subgraph that other nodes read by one `get_attr` node holding its value.

    A folded value is a parameter (and trains) where a floating-point parameter is among its sources, else a buffer.
    """
    values: dict[fx.Node, Any] = {}
    sources: dict[fx.Node, list[str]] = {}
    for node in list(graph.graph.nodes):
        if node.op == "get_attr":
            values[node] = attribute(graph, str(node.target))
            sources[node] = [str(node.target)]
        elif _is_data_free(node):
            values[node], sources[node] = _new_constant(node), []
        elif node.op == "call_function" and all(i in values for i in node.all_input_nodes):
            if not node.all_input_nodes and not _makes_tensor(node):
                continue
            args = fx.node.map_arg(node.args, lambda n: values[n])
            kwargs = fx.node.map_arg(node.kwargs, lambda n: values[n])
            with torch.no_grad():
                values[node] = node.target(*args, **kwargs)
            sources[node] = [s for i in node.all_input_nodes for s in sources[i]]
    parameters = {name for name, _ in graph.named_parameters()}
    for node, value in values.items():
        if node.op == "get_attr" or not isinstance(value, torch.Tensor):
            continue
        if all(user in values for user in node.users):
            continue  # an inner node of a constant subgraph
        name = f"folded_{node.name}"
        trainable = value.is_floating_point() and any(s in parameters for s in sources[node])
        if trainable:
            graph.register_parameter(name, nn.Parameter(value.detach().clone()))
        else:
            graph.register_buffer(name, value.detach().clone())
        with graph.graph.inserting_before(node):
            constant = graph.graph.get_attr(name)
        constant.meta["val"] = value.to("meta")
        named = [s for s in sources[node] if s in parameters]
        constant.meta[_ORIGIN] = next((s for s in named if s.endswith("weight")), named[0] if named else None)
        node.replace_all_uses_with(constant)
    for node in reversed(list(graph.graph.nodes)):
        if node in values and not node.users:  # a dropout inside would count as impure, and stay
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()


def _is_data_free(node: fx.Node) -> bool:
    """Say whether a node makes a tensor of fixed size and value, like another one in nothing but type and place."""
    value = node.meta.get("val")
    if node.target not in _NEW or not isinstance(value, torch.Tensor):
        return False
    return all(isinstance(s, int) for s in value.shape) and len(node.all_input_nodes) == 1


def _new_constant(node: fx.Node) -> torch.Tensor:
    fill: Any = _NEW[node.target]
    if fill is None:
        position = 1 if node.target is torch.ops.aten.full_like.default else 2
        fill = node.args[position] if len(node.args) > position else node.kwargs["fill_value"]
    like = node.meta["val"]
    return torch.full(tuple(like.shape), fill, dtype=like.dtype)


def _makes_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)

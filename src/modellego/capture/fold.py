"""Bake what depends on no input: constant subgraphs of an exported program become single parameters or buffers.

Weight-standardised convolutions become plain ones here, and tables of relative positions become plain biases.
"""

from typing import Any

import torch
from torch import fx, nn

# What makes a weight from other weights keeps the name of the first `weight` it is made from.
_ORIGIN = "origin"


def fold_constants(graph: fx.GraphModule) -> None:
    """Replace, in place, every constant subgraph that other nodes read by one `get_attr` node holding its value.

    A folded value is a parameter (and trains) where a floating-point parameter is among its sources, else a buffer.
    """
    values: dict[fx.Node, Any] = {}
    sources: dict[fx.Node, list[str]] = {}
    for node in list(graph.graph.nodes):
        if node.op == "get_attr":
            values[node] = _attribute(graph, str(node.target))
            sources[node] = [str(node.target)]
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


def _makes_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)


def _attribute(graph: fx.GraphModule, path: str) -> torch.Tensor:
    value: Any = graph
    for part in path.split("."):
        value = getattr(value, part)
    assert isinstance(value, torch.Tensor)
    return value

"""Inline the regions that `torch.export` sets apart: what stands under `autocast` or `no_grad` in the source."""

import operator
from typing import Any

from torch import fx

_BEFORE = {"wrap_with_autocast": 4, "wrap_with_set_grad_enabled": 1}  # arguments in front of the region's graph


def inline_regions(graph: fx.GraphModule) -> None:
    """Put the nodes of every region, nested ones too, in the place of its call, in place.

    A region under `autocast` runs in the dtype of what it reads: in float32 that is what `autocast` with
    `enabled=False` does, the one form that models use in evaluation.
    """
    for node in list(graph.graph.nodes):
        before = _BEFORE.get(getattr(node.target, "__name__", "")) if node.op == "call_function" else None
        if before is None:
            continue
        region: Any = node.args[before]
        path = str(region.target)
        inner = graph.get_submodule(path)
        assert isinstance(inner, fx.GraphModule)
        inline_regions(inner)
        found = _copy(graph, inner, path, node, list(node.args[before + 1 :]))
        for user in list(node.users):
            if user.op == "call_function" and user.target is operator.getitem and isinstance(found, list | tuple):
                user.replace_all_uses_with(found[user.args[1]])
                graph.graph.erase_node(user)
        if isinstance(found, fx.Node):
            node.replace_all_uses_with(found)
        graph.graph.erase_node(node)
        if not region.users:
            graph.graph.erase_node(region)


def _copy(graph: fx.GraphModule, inner: fx.GraphModule, path: str, call: fx.Node, inputs: list[Any]) -> Any:
    """Copy a region's nodes in front of its call, and return what stands for its result."""
    moved: dict[fx.Node, Any] = {}
    result: Any = None
    with graph.graph.inserting_before(call):
        for node in inner.graph.nodes:
            if node.op == "placeholder":
                moved[node] = inputs.pop(0)
            elif node.op == "output":
                result = fx.node.map_arg(node.args[0], lambda n: moved[n])
            else:
                moved[node] = graph.graph.node_copy(node, lambda n: moved[n])
                if node.op == "get_attr":
                    moved[node].target = f"{path}.{node.target}"
    return result

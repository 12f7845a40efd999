"""The end of a network: its last linear layer found, dropped, or followed by a joint's steps written into the graph."""

import copy
from collections.abc import Sequence

import torch
from torch import fx, nn

from modellego.brick import Joint
from modellego.brick.body import linear_at
from modellego.capture.network import Network, annotated
from modellego.capture.walk import attribute
from modellego.errors import AssemblyError

_aten = torch.ops.aten


def copied_network(network: Network) -> Network:
    """Return a network of its own, with the shapes of the one it is a copy of.

    >>> from modellego.capture import capture
    >>> copied_network(capture(nn.Linear(3, 2), (3,))).num_logits
    2
    """
    return Network(copy.deepcopy(network.graph), network.input_shape)


def _output(graph: fx.GraphModule) -> fx.Node:
    nodes: list[fx.Node] = list(graph.graph.nodes)
    return nodes[-1]


def last_linear(graph: fx.GraphModule) -> tuple[fx.Node, nn.Linear] | None:
    """Return the linear layer whose result is the output and nothing else, called once; None if there is none."""
    node = _output(graph).args[0]
    layer = linear_at(graph, node)
    return None if layer is None or not isinstance(node, fx.Node) else (node, layer)


def without_selection(network: Network) -> Network:
    """Fold a choice of logits behind the last linear layer (left by a cut for classes out of order) into its rows."""
    graph = network.graph
    chosen = _output(graph).args[0]
    if not isinstance(chosen, fx.Node) or chosen.target is not _aten.index_select.default or chosen.args[1] != 1:
        return network
    index = chosen.args[2]
    if not isinstance(index, fx.Node) or index.op != "get_attr" or linear_at(graph, chosen.args[0]) is None:
        return network
    result = copied_network(network)
    graph = result.graph
    output = _output(graph)
    chosen = output.args[0]
    node = chosen.args[0]  # type: ignore[union-attr]
    layer = linear_at(graph, node)
    assert layer is not None
    rows = attribute(graph, str(chosen.args[2].target))  # type: ignore[union-attr]
    _set_linear(layer, layer.weight.detach()[rows], None if layer.bias is None else layer.bias.detach()[rows])
    output.args = (node,)
    node.meta["shape"] = chosen.meta["shape"]  # type: ignore[union-attr]
    return _finished(result)


def as_features(network: Network, name: str = "the brick") -> Network:
    """Return a network that ends before its last linear layer: what that layer reads, `[B, features]`.

    Raises:
        AssemblyError: the network does not end in a linear layer of its own.
    """
    result = copied_network(without_selection(network))
    found = last_linear(result.graph)
    if found is None or len(found[0].args[0].meta["shape"]) != 2:  # type: ignore[union-attr]
        raise AssemblyError(f"{name} does not end in a linear layer: its logits can be calibrated, its head cannot")
    _output(result.graph).args = (found[0].args[0],)
    return _finished(result)


def with_joint(network: Network, joint: Joint) -> Network:
    """Return a network that does what a joint does behind it, in its own graph; scales go into its last layer.

    >>> from modellego.capture import capture
    >>> net = capture(nn.Linear(3, 3), (3,))
    >>> joint = Joint(scale=torch.full((3,), 2.0), merge=[[0, 2], [1]])
    >>> x = torch.ones(2, 3)
    >>> torch.allclose(with_joint(net, joint).graph(x), joint(net.graph(x)))
    True
    """
    if joint.linear is None and joint.scale is None and joint.shift is None and joint.merge is None:
        return network
    result = copied_network(without_selection(network))
    graph = result.graph
    output = _output(graph)
    with graph.graph.inserting_before(output):
        if joint.linear is not None:
            path = _add(graph, "joint_linear", copy.deepcopy(joint.linear))
            output.args = (graph.graph.call_module(path, output.args),)
        if joint.scale is not None or joint.shift is not None:
            _affine(graph, output, joint.scale, joint.shift)
        if joint.merge is not None:
            _merge(graph, output, joint.merge)
    return _finished(result)


def _affine(graph: fx.GraphModule, output: fx.Node, scale: torch.Tensor | None, shift: torch.Tensor | None) -> None:
    found = last_linear(graph)
    if found is not None:
        layer = found[1]
        weight, bias = layer.weight.detach(), layer.bias
        factor = torch.ones_like(weight[:, 0]) if scale is None else scale.detach().to(weight.dtype)
        moved = None if bias is None else bias.detach() * factor
        if shift is not None:
            added = shift.detach().to(weight.dtype)
            moved = added if moved is None else moved + added
        _set_linear(layer, weight * factor[:, None], moved)
        return
    for name, vector, op in (("scale", scale, _aten.mul.Tensor), ("shift", shift, _aten.add.Tensor)):
        if vector is not None:
            path = _add(graph, f"logit_{name}", nn.Parameter(vector.detach().clone()))
            output.args = (graph.graph.call_function(op, (output.args[0], graph.graph.get_attr(path))),)


def _merge(graph: fx.GraphModule, output: fx.Node, groups: Sequence[Sequence[int]]) -> None:
    """Log-sum-exp of groups of columns; a short group repeats its first column, at a share of its weight each time."""
    longest = max(map(len, groups))
    columns, shares = [], []
    for group in groups:
        spare = longest - len(group)
        columns += [*group, *[group[0]] * spare]
        shares.append([1.0 / (spare + 1), *[1.0] * (len(group) - 1), *[1.0 / (spare + 1)] * spare])
    dtype = next((p.dtype for p in graph.parameters()), torch.float32)
    index = graph.graph.get_attr(_add(graph, "merged_columns", torch.tensor(columns)))
    shares_path = _add(graph, "merged_shares", torch.tensor(shares, dtype=torch.float64).log().to(dtype))
    picked = graph.graph.call_function(_aten.index_select.default, (output.args[0], 1, index))
    if longest > 1:
        table = graph.graph.call_function(_aten.unflatten.int, (picked, 1, [len(groups), longest]))
        weighed = graph.graph.call_function(_aten.add.Tensor, (table, graph.graph.get_attr(shares_path)))
        picked = graph.graph.call_function(_aten.logsumexp.default, (weighed, [2]))
    output.args = (picked,)


def _add(graph: fx.GraphModule, name: str, value: nn.Module | torch.Tensor) -> str:
    path, count = name, 1
    while hasattr(graph, path):
        count += 1
        path = f"{name}_{count}"
    if isinstance(value, nn.Module):
        graph.add_module(path, value)
    elif isinstance(value, nn.Parameter):
        graph.register_parameter(path, value)
    else:
        graph.register_buffer(path, value)
    return path


def _set_linear(layer: nn.Linear, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    wanted = layer.weight.requires_grad
    layer.weight = nn.Parameter(weight.clone(), wanted)
    layer.bias = None if bias is None else nn.Parameter(bias.clone(), wanted)  # type: ignore[assignment]
    layer.out_features = len(weight)


def _finished(network: Network) -> Network:
    graph = network.graph
    graph.graph.eliminate_dead_code()
    used = {str(n.target) for n in graph.graph.nodes if n.op == "get_attr"}
    graph.delete_all_unused_submodules()
    for path in [p for p, _ in (*graph.named_parameters(), *graph.named_buffers()) if p not in used]:
        owner, _, leaf = path.rpartition(".")
        if not owner or type(graph.get_submodule(owner)) is nn.Module:
            delattr(graph.get_submodule(owner), leaf)
    graph.recompile()
    return annotated(graph, network.input_shape)

"""The body of a network: the graph up to what its last linear layer, the head, reads."""

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from modellego.capture.walk import attribute

_select = torch.ops.aten.index_select.default


@dataclass(frozen=True)
class Head:
    """The last linear layer of a network: `features` is the node it reads, `rows` its rows in the logits' order."""

    layer: nn.Linear
    features: fx.Node
    rows: Tensor | None

    @property
    def width(self) -> int:
        """How many features it reads."""
        return self.layer.in_features

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Return weight `[C, width]` and bias `[C]` (zeros where it has none), one row per logit."""
        weight = self.layer.weight.detach()
        bias = weight.new_zeros(len(weight)) if self.layer.bias is None else self.layer.bias.detach()
        return (weight, bias) if self.rows is None else (weight[self.rows], bias[self.rows])


def find_head(network: fx.GraphModule) -> Head | None:
    """Return the linear layer in which a network with shapes ends, called once; None if there is none.

    A choice of logits behind it (left by a cut for classes out of order) belongs to it.

    >>> from modellego.capture import capture
    >>> find_head(capture(nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)), (3,)).graph).width
    5
    """
    node = list(network.graph.nodes)[-1].args[0]
    rows = None
    if isinstance(node, fx.Node) and node.target is _select and node.args[1] == 1 and len(node.users) == 1:
        index = node.args[2]
        if not isinstance(index, fx.Node) or index.op != "get_attr":
            return None
        node, rows = node.args[0], attribute(network, str(index.target))
    layer = linear_at(network, node)
    if layer is None or not isinstance(node, fx.Node):
        return None
    features = node.args[0]
    if not isinstance(features, fx.Node) or len(features.meta["shape"]) != 2:
        return None
    return Head(layer, features, rows)


def linear_at(network: fx.GraphModule, node: object) -> nn.Linear | None:
    """Return the linear layer that a node calls, if nothing else does and its result is read once."""
    if not isinstance(node, fx.Node) or node.op != "call_module" or len(node.users) != 1:
        return None
    layer = network.get_submodule(str(node.target))
    calls = [n for n in network.graph.nodes if n.op == "call_module" and network.get_submodule(str(n.target)) is layer]
    return layer if isinstance(layer, nn.Linear) and len(calls) == 1 else None


def body_of(network: fx.GraphModule, head: Head) -> fx.GraphModule:
    """Return a graph that gives what the head reads, `[B, width]`; its layers and tensors are the network's own."""
    needed = {head.features}
    for node in reversed(network.graph.nodes):  # its ops change nothing in place, so that what is not read is not run
        if node in needed:
            needed.update(node.all_input_nodes)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in network.graph.nodes:
        if node in needed or node.op == "placeholder":
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[head.features])
    body = fx.GraphModule(network, graph)
    for kept in ("_modules", "_parameters", "_buffers"):  # the very dicts: what is moved there is moved here
        body.__dict__[kept] = network.__dict__[kept]
    return body

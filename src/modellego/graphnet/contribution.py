"""Contribution in a network on graphs: each node is a sample, and its map is what its neighbours send it.

A graph convolution adds up what the neighbours' rows give behind a linear layer, `sum_u w_vu W x_u`. The sum commutes
with the layer, as the spatial sum does with a convolution: `W (sum_u w_vu x_u)`. So a node's contributions are those of
a linear layer that reads the propagated features, and all else is the code that serves images.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, fx

from modellego.capture.modes import evaluating
from modellego.capture.network import Network
from modellego.capture.walk import GraphWalk
from modellego.channels import ChannelMap
from modellego.contribution.aggregate import aggregate
from modellego.contribution.stream import ClassSums, reading_layers
from modellego.errors import DataError

_aten = torch.ops.aten


@torch.no_grad()
def node_sums(
    network: Network, channels: ChannelMap, x: Tensor, edge_index: Tensor, samples: Mapping[int, Tensor]
) -> Iterator[tuple[int, ClassSums]]:
    """Run a graph once and yield each class with its `ClassSums`, over its sample nodes (int64 each).

    Raises:
        DataError: a class without sample nodes.
    """
    nodes = {n.name: n for n in network.graph.graph.nodes}
    walk = GraphWalk(network.graph, hold=nodes.values())
    with evaluating(network.graph):
        values = walk.run(walk.start(x, edge_index))
    layers = reading_layers(network, channels)
    read = {name: propagated(nodes[name], values) for name in layers}
    for label, rows in samples.items():
        if not len(rows):
            raise DataError(f"class {label} has no nodes to take contributions from")
        yield label, ClassSums(len(rows), {name: aggregate(layer, read[name][rows]) for name, layer in layers.items()})


def propagated(reader: fx.Node, values: Mapping[fx.Node, object]) -> Tensor:
    """Return what a linear layer's messages are made of at each node, float `[N, P]`.

    That is its input, propagated as its output is next (rows picked, weighted by edge, added up); and the plain input
    where something else follows, as behind a propagation or with attention.
    """
    x = values[reader.args[0]]  # type: ignore[index]
    assert isinstance(x, Tensor)
    picked = _only_user(reader, _aten.index_select.default)
    if picked is None or int(picked.args[1]) % x.dim() != 0:  # type: ignore[arg-type]
        return x
    messages, sent = x[values[picked.args[2]]], picked  # type: ignore[index]
    weighted = _only_user(picked, _aten.mul.Tensor)
    if weighted is not None:
        (other,) = [a for a in weighted.args if a is not picked]
        weights = values.get(other) if isinstance(other, fx.Node) else None
        if not isinstance(weights, Tensor) or weights.shape != (len(messages), 1):
            return x
        messages, sent = messages * weights, weighted
    added = _only_user(sent, _aten.index_add.default)
    if added is None or added.args[3] is not sent:
        return x
    rows = values[added.args[2]]  # type: ignore[index]
    assert isinstance(rows, Tensor)
    return x.new_zeros(len(values[added]), x.shape[1]).index_add(0, rows, messages)  # type: ignore[arg-type]


def _only_user(node: fx.Node, target: object) -> fx.Node | None:
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].target is target else None

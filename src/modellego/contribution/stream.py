"""The pass: one walk over the network's graph per batch, class by class, leaving each reading layer's sums.

No module is hooked: a walk over the graph hands each layer that mixes channels what it is about to read, and
drops tensors after their last use. Memory is one table a k x k layer, whatever the number of
classes.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, fx

from modellego.capture.layers import WeightedLayer
from modellego.capture.modes import evaluating
from modellego.capture.network import Network
from modellego.capture.walk import GraphWalk, Values
from modellego.channels.channel_map import ChannelMap
from modellego.contribution.aggregate import Accumulator, LayerSums, votes
from modellego.contribution.fused import Backend
from modellego.distributed import summed
from modellego.errors import DataError

Label = TypeVar("Label", bound=Hashable)


@dataclass(frozen=True)
class ClassSums:
    """One category's sums: each reading node's, in graph order; `a + b` covers the samples of both."""

    samples: int
    layers: Mapping[str, LayerSums]

    def __add__(self, other: "ClassSums") -> "ClassSums":
        if list(self.layers) != list(other.layers):
            raise ValueError("sums over different networks cannot be added")
        layers = {node: sums + other.layers[node] for node, sums in self.layers.items()}
        return ClassSums(self.samples + other.samples, layers)

    def over_processes(self) -> "ClassSums":
        """Return what all processes have summed, each over its own samples; these sums are used up."""
        samples = torch.tensor(self.samples)
        parts = [part for s in self.layers.values() for part in (s.positive, s.negative, s.pairs) if part is not None]
        summed(samples, *parts)
        layers = {node: replace(sums, samples=int(samples)) for node, sums in self.layers.items()}
        return ClassSums(int(samples), layers)


def reading_layers(network: Network, channel_map: ChannelMap | None = None) -> dict[str, WeightedLayer]:
    """Return the layers that vote, by the node that calls them, in graph order; one called twice is there twice.

    Depthwise convolutions mix nothing and are left out. With a channel map, its readers are taken: it also leaves out
    layers that mix positions where channels lie on another axis.
    """
    modules = dict(network.graph.named_modules())
    named = None if channel_map is None else {reading.node for reading in channel_map.readers}
    found: dict[str, WeightedLayer] = {}
    for node in network.graph.graph.nodes:
        layer = modules[node.target] if node.op == "call_module" else None
        if isinstance(layer, WeightedLayer) and (votes(layer) if named is None else node.name in named):
            found[node.name] = layer
    return found


def class_sums(
    network: Network,
    classes: Iterable[tuple[Label, Iterable[Tensor]]],
    *,
    channel_map: ChannelMap | None = None,
    maps: Mapping[str, int] | None = None,
    backend: Backend = "auto",
) -> Iterator[tuple[Label, ClassSums]]:
    """Run each category's samples through the network and yield it with its `ClassSums`, one after the other.

    `classes` yields a label and its batches of network input `[B, *input_shape]`. `maps` gives, for linear
    layers behind a flatten (by node), the number of features of one channel's map, where the map is to be
    summed as a convolution would. Of several processes each gives the samples of its share. The network's mode is set
    to eval for the walk and put back. Raises
    `DataError` for a category without samples.

    >>> from torch import nn
    >>> from modellego.capture.network import annotate
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    >>> network = annotate(fx.symbolic_trace(model), (1, 4, 4))
    >>> for label, sums in class_sums(network, [("cat", [torch.rand(3, 1, 4, 4)])]):
    ...     print(label, sums.samples, list(sums.layers))
    cat 3 ['_0', '_2']
    """
    accumulators = {
        node: Accumulator(layer, (maps or {}).get(node, 1), backend)
        for node, layer in reading_layers(network, channel_map).items()
    }
    gather = _Gather(network.graph, accumulators)
    walk = GraphWalk(network.graph)
    for label, batches in classes:
        for accumulator in accumulators.values():
            accumulator.reset()
        samples = 0
        with evaluating(network.graph), torch.no_grad():
            for batch in batches:
                gather.shared.clear()
                walk.run(walk.start(batch), before=gather)
                samples += len(batch)
        found = ClassSums(samples, {node: acc.sums() for node, acc in accumulators.items()}).over_processes()
        if found.samples == 0:
            raise DataError(f"class {label} has no samples; give it images or leave it out")
        yield label, found


class _Gather:
    """Adds what each reading layer is about to read to its sums.

    Branches that read one tensor through equal windows share its window sums within a batch.
    """

    def __init__(self, graph: fx.GraphModule, accumulators: Mapping[str, Accumulator]) -> None:
        self._accumulators = accumulators
        self.shared: dict[object, Tensor] = {}
        nodes = {node.name: node for node in graph.graph.nodes}
        self._inputs = {name: nodes[name].all_input_nodes[0] for name in accumulators}
        self._keys = {name: self._key(name) for name in accumulators}
        self._last = {key: name for name, key in self._keys.items()}  # the last reader of a key, in graph order

    def _key(self, name: str) -> object:
        accumulator = self._accumulators[name]
        return self._inputs[name].name, accumulator.window, accumulator.maps

    def __call__(self, node: fx.Node, values: Values) -> None:
        accumulator = self._accumulators.get(node.name)
        if accumulator is None:
            return
        key = self._keys[node.name]
        sums = self.shared.pop(key, None)
        if sums is None:
            sums = accumulator.window_sums(values[self._inputs[node.name]])
        if self._last[key] != node.name:
            self.shared[key] = sums
        accumulator.add_sums(sums)

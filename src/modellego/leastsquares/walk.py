"""Walks: a graph run node by node over many images, keeping only the tensors that are still needed."""

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor, fx

from modellego.capture.network import Network


class Walk:
    """Runs a network over batches, node by node; `values[node]` holds one result a batch while it is needed.

    `late` puts nodes off until another is reached (they count as used there); `hold` keeps a node's values until
    they are released by hand.
    """

    def __init__(
        self,
        network: Network,
        batches: list[Tensor],
        late: dict[fx.Node, fx.Node] | None = None,
        hold: Iterable[fx.Node] = (),
    ) -> None:
        self.graph = network.graph
        self.modules = dict(network.graph.named_modules())
        self.nodes = list(network.graph.graph.nodes)
        self.order = {node: i for i, node in enumerate(self.nodes)}
        self.batches = batches
        self.values: dict[fx.Node, list[Any]] = {}
        late = late or {}
        self.held = set(hold)
        last: dict[fx.Node, int] = {}
        for node in self.nodes:
            at = self.order[late.get(node, node)]
            for used in node.all_input_nodes:
                last[used] = max(last.get(used, 0), at)
        self.last = last
        self._ends: dict[int, list[fx.Node]] = {}
        for node, position in last.items():
            self._ends.setdefault(position, []).append(node)

    def compute(self, node: fx.Node) -> None:
        """Compute one node for all batches; its inputs must be there."""
        self.values[node] = [self._one(node, i) for i in range(len(self.batches))]

    def _one(self, node: fx.Node, i: int) -> Any:
        if node.op == "placeholder":
            return self.batches[i]
        if node.op == "get_attr":
            return self.attribute(node)
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: self.values[n][i])
        if node.op == "output":
            return args[0]
        target: Any = self.modules[str(node.target)] if node.op == "call_module" else node.target
        return target(*args, **kwargs)

    def attribute(self, node: fx.Node) -> Any:
        """Return the parameter or buffer that a node stands for."""
        found: Any = self.graph
        for part in str(node.target).split("."):
            found = getattr(found, part)
        return found

    def free(self, node: fx.Node) -> None:
        """Drop what was needed last at this node."""
        for used in self._ends.get(self.order[node], []):
            if used not in self.held:
                self.values.pop(used, None)

    def release(self, node: fx.Node, now: int) -> None:
        """Let go of a held node, at once where nothing from position `now` on reads it."""
        self.held.discard(node)
        ends = [p for p, nodes in self._ends.items() if node in nodes]
        if not ends or ends[0] <= now:
            self.values.pop(node, None)


def peak_numbers(network: Network) -> int:
    """Return the most numbers one image's feature maps take at once during a walk.

    >>> import torch
    >>> from modellego.capture import capture
    >>> peak_numbers(capture(torch.nn.Sequential(torch.nn.Linear(3, 40), torch.nn.Linear(40, 2)), (3,)))
    43
    """
    nodes = list(network.graph.graph.nodes)
    last = {used: i for i, node in enumerate(nodes) for used in node.all_input_nodes}
    live: dict[fx.Node, int] = {}
    peak = 0
    for i, node in enumerate(nodes):
        if "shape" in node.meta and node.op != "get_attr":
            live[node] = math.prod(node.meta["shape"])
        peak = max(peak, sum(live.values()))
        for used in [n for n in live if last.get(n, -1) <= i and n is not node]:
            del live[used]
    return peak

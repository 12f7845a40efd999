"""How much the task's logits mind errors in a layer's output: from backward passes, and measured by trying."""

import math
from collections.abc import Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from modellego.capture.layers import WeightedLayer
from modellego.capture.network import Network
from modellego.capture.walk import GraphWalk, Values
from modellego.data.chunks import chunks
from modellego.distributed import share, summed
from modellego.locate.statistics import Products

TEMPERATURE = 2.0
PROBES = 3  # random projections of each image's logits
WORK = 10_000_000_000  # multiplications that the products of a node's gradients may take, but for four rows a channel


def recorded(network: Network, nodes: Collection[str], images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a network once and return its logits and some nodes' results, in graph order, as the gradient sees them.

    >>> from modellego.capture import capture
    >>> net = capture(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)), (3,))
    >>> logits, kept = recorded(net, ["relu"], torch.rand(5, 3))
    >>> logits.shape, kept["relu"].shape
    (torch.Size([5, 2]), torch.Size([5, 4]))
    """
    kept: dict[str, Tensor] = {}

    def keep(node: fx.Node, values: Values) -> None:
        if node.name in nodes:
            kept[node.name] = values[node]

    walk = GraphWalk(network.graph)
    return walk.run(walk.start(images), after=keep)[walk.output], kept


def output_metrics(
    network: Network,
    nodes: dict[str, int],
    images: Tensor,
    task: Sequence[int],
    *,
    batch: int,
    seed: int,
) -> dict[str, Tensor]:
    """Return for each node the mean product of gradients over its channels, float64 `[Q, Q]`, summed over positions.

    The gradients are those of random projections of the task's centred logits, `PROBES` per image: no labels, and no
    saturation on images the network is sure of. `nodes` maps a node's name to its channel axis. Where images, positions
    and channels are many, positions at even distances stand for all (`WORK`). Of several processes each takes its share
    of the images.
    """
    generator = torch.Generator().manual_seed(seed)
    wanted = torch.tensor(list(task))
    directions = torch.randn(len(images), PROBES, len(wanted), generator=generator)
    found: dict[str, Products] = {}
    every: dict[str, int] = {}
    shares: dict[str, float] = {}
    for node in network.graph.graph.nodes:
        if node.name in nodes:
            shape = node.meta["shape"]
            channels, positions = shape[nodes[node.name]], math.prod(shape[1:]) // shape[nodes[node.name]]
            most = max(4 * channels, WORK // channels**2) // (PROBES * len(images))
            every[node.name] = max(1, positions // max(most, 1))
            shares[node.name] = len(range(0, positions, every[node.name])) / positions
            found[node.name] = Products(1, channels)
    own = share(len(images))
    done = own.start
    with torch.enable_grad():
        for block in chunks(images[own], batch):
            logits, kept = recorded(network, nodes, block.detach().clone().requires_grad_())
            logits = logits[:, wanted] - logits[:, wanted].mean(1, keepdim=True)
            for probe in range(PROBES):
                direction = directions[done : done + len(block), probe].to(logits)
                gradients = torch.autograd.grad(
                    (logits * direction).sum(), list(kept.values()), retain_graph=probe < PROBES - 1, allow_unused=True
                )
                for name, gradient in zip(kept, gradients, strict=True):
                    if gradient is None:
                        continue
                    rows = gradient.movedim(nodes[name], -1).flatten(1, -2) if gradient.ndim > 2 else gradient[:, None]
                    found[name].add(rows[:, :: every[name]].flatten(0, 1)[None])
            done += len(block)
    return {name: sums.total()[0].div_(shares[name] * PROBES * len(images)) for name, sums in found.items()}


class Trials:
    """Measures what a change of one layer's weights does to the task's logits, from where the walk stands.

    Of several processes each tries its share of the images.
    """

    def __init__(self, network: Network, images: Tensor, task: Sequence[int], batch: int) -> None:
        self.task = torch.tensor(list(task))
        self.walk = GraphWalk(network.graph)
        self.count = len(images)
        own = images[share(len(images))]
        self.values = [self.walk.start(block) for block in chunks(own, batch)]
        self.reached = self.walk.nodes[0]
        self.reference = [self._log_probabilities(network.graph(block)) for block in chunks(own, batch)]

    def _log_probabilities(self, logits: Tensor) -> Tensor:
        return F.log_softmax(logits[:, self.task].double() / TEMPERATURE, 1)

    @torch.no_grad()
    def harm(self, node: fx.Node, layer: WeightedLayer, weight: Tensor, shift: Tensor) -> float:
        """Return the mean divergence of the task's softened probabilities when a layer has other weights.

        Nodes must come in graph order; `shift` `[Q]` is added to the layer's output along its channel axis.
        """
        walk = self.walk
        old = layer.weight.data
        view = (-1,) if isinstance(layer, torch.nn.Linear) else (-1, *[1] * (old.ndim - 2))

        def add_shift(n: fx.Node, values: Values) -> None:
            if n.op == "call_module" and n.target == node.target:
                values[n] = values[n] + shift.to(values[n]).reshape(view)

        total = torch.zeros((), dtype=torch.float64)
        for values, reference in zip(self.values, self.reference, strict=True):
            walk.run(values, self.reached, node)
            layer.weight.data = weight
            try:
                other = self._log_probabilities(walk.run(values.copy(), node, after=add_shift)[walk.output])
            finally:
                layer.weight.data = old
            total += F.kl_div(other, reference, log_target=True, reduction="sum").cpu()
        self.reached = node
        summed(total)
        return float(total) / self.count * TEMPERATURE**2

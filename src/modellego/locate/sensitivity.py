"""How much the task's logits mind errors in a layer's output: from backward passes, and measured by trying."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from modellego.capture.network import Network
from modellego.leastsquares import Fittable
from modellego.leastsquares.walk import Walk

TEMPERATURE = 2.0


class Recorder(fx.Interpreter):
    """Runs a graph and keeps the outputs of some nodes, as the gradient sees them."""

    def __init__(self, graph: fx.GraphModule, nodes: set[str]) -> None:
        super().__init__(graph)
        self.nodes = nodes
        self.kept: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> object:  # noqa: D102 (the base class says it)
        result = super().run_node(n)
        if n.name in self.nodes:
            self.kept[n.name] = result
        return result


def output_metrics(
    network: Network,
    nodes: dict[str, int],
    images: Tensor,
    task: Sequence[int],
    *,
    probes: int = 3,
    batch: int = 50,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Return for each node the mean product of gradients over its channels, float64 `[Q, Q]`, summed over positions.

    The gradients are those of random projections of the task's centred logits, `probes` an image: no labels, and no
    saturation on images the network is sure of. `nodes` maps a node's name to its channel axis.
    """
    generator = torch.Generator().manual_seed(seed)
    wanted = torch.tensor(list(task))
    found: dict[str, Tensor] = {}
    with torch.enable_grad():
        for block in images.split(batch):  # type: ignore[no-untyped-call]
            recorder = Recorder(network.graph, set(nodes))
            logits = recorder.run(block.detach().clone().requires_grad_())[:, wanted]
            logits = logits - logits.mean(1, keepdim=True)
            kept = recorder.kept
            for probe in range(probes):
                direction = torch.randn(logits.shape, generator=generator).to(logits)
                gradients = torch.autograd.grad(
                    (logits * direction).sum(), list(kept.values()), retain_graph=probe < probes - 1, allow_unused=True
                )
                for name, gradient in zip(kept, gradients, strict=True):
                    if gradient is None:
                        continue
                    rows = gradient.movedim(nodes[name], -1).flatten(0, -2)
                    product = (rows.T @ rows).double() / (probes * len(images))
                    found[name] = found[name] + product if name in found else product
    return found


class Trials:
    """Measures what a change of one layer's weights does to the task's logits, from where the walk stands."""

    def __init__(self, network: Network, images: Tensor, task: Sequence[int]) -> None:
        self.network = network
        self.task = torch.tensor(list(task))
        self.walk = Walk(network, [images])
        self.next = 0
        self.reference = self._log_probabilities(network.graph(images))

    def _log_probabilities(self, logits: Tensor) -> Tensor:
        return F.log_softmax(logits[:, self.task].double() / TEMPERATURE, 1)

    @torch.no_grad()
    def harm(self, node: fx.Node, layer: Fittable, weight: Tensor, shift: Tensor) -> float:
        """Return the mean divergence of the task's softened probabilities when a layer has other weights.

        Nodes must come in graph order; `shift` `[Q]` is added to the layer's output along its channel axis.
        """
        walk = self.walk
        while self.next < walk.order[node]:
            walk.compute(walk.nodes[self.next])
            walk.free(walk.nodes[self.next])
            self.next += 1
        values = {n: v[0] for n, v in walk.values.items()}
        old = layer.weight.detach().clone()
        view = (-1,) if isinstance(layer, torch.nn.Linear) else (-1, *[1] * (old.ndim - 2))
        layer.weight.data.copy_(weight)
        try:
            result: Tensor | None = None
            for n in walk.nodes[self.next :]:
                args, kwargs = fx.map_arg((n.args, n.kwargs), lambda a: values[a])
                if n.op == "output":
                    result = args[0]
                elif n.op == "call_module":
                    values[n] = walk.modules[str(n.target)](*args, **kwargs)
                    if n.target == node.target:
                        values[n] = values[n] + shift.to(values[n]).reshape(view)
                elif n.op == "call_function":
                    values[n] = n.target(*args, **kwargs)
                elif n.op == "get_attr":
                    values[n] = walk.attribute(n)
                for used in n.all_input_nodes:
                    if walk.last[used] <= walk.order[n]:
                        values.pop(used, None)
            assert result is not None
        finally:
            layer.weight.data.copy_(old)
        other = self._log_probabilities(result)
        return float(F.kl_div(other, self.reference, log_target=True, reduction="batchmean")) * TEMPERATURE**2

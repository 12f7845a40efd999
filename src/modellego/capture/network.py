"""The value that flows through the house: a captured network, its input shape, and the shape of every tensor in it."""

from dataclasses import dataclass

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode


@dataclass(frozen=True)
class Network:
    """A classifier as a graph of ATen ops and `nn` layers of the closed lists, without its preprocessing.

    `graph` maps one tensor `[B, *input_shape]` to logits `[B, C]`; `input_shape` leaves the batch axis out.
    Every node that makes a tensor carries its shape at batch size 1 in `node.meta["shape"]`.
    """

    graph: fx.GraphModule
    input_shape: tuple[int, ...]

    @property
    def num_logits(self) -> int:
        """How many logits the network gives."""
        output = next(n for n in reversed(self.graph.graph.nodes) if n.op == "output")
        return int(output.args[0].meta["shape"][-1])  # type: ignore[union-attr]


class _ShapeRecorder(fx.Interpreter):
    """Runs the graph on fake tensors and writes each tensor's shape into its node."""

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        n.meta.pop("shape", None)
        n.meta.pop("value", None)
        if isinstance(result, torch.Tensor):
            n.meta["shape"] = tuple(int(s) for s in result.shape)
        elif isinstance(result, int | float):
            n.meta["value"] = result  # a size worked out in the graph, at batch 1
        return result


def annotate(graph: fx.GraphModule, input_shape: tuple[int, ...]) -> Network:
    """Work out every tensor's shape at batch size 1 without computing anything, and return the `Network`."""
    parameter = next(iter(graph.parameters()), torch.empty(0))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        example = mode.from_tensor(torch.empty(1, *input_shape, dtype=parameter.dtype))
        _ShapeRecorder(graph).run(example)
    return Network(graph, tuple(input_shape))

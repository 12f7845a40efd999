"""The value that flows through the house: a captured network, its input shape, and the shape of every tensor in it."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from modellego.capture.walk import GraphWalk, Values


@dataclass(frozen=True)
class Network:
    """A classifier as a graph of ATen ops and `nn` layers of the closed lists, without its preprocessing.

    `graph` maps one tensor `[B, *input_shape]` to logits `[B, C]`; `input_shape` leaves the batch axis out. A network
    on graphs has a second input, `edge_index` int64 `[2, E]`, and nodes in the place of the batch.
    Every node that makes a tensor carries its shape at batch size 1 in `node.meta["shape"]`.
    """

    graph: fx.GraphModule
    input_shape: tuple[int, ...]

    @property
    def num_logits(self) -> int:
        """How many logits the network gives."""
        output = next(n for n in reversed(self.graph.graph.nodes) if n.op == "output")
        return int(output.args[0].meta["shape"][-1])


def _record_shape(node: fx.Node, values: Values) -> None:
    """Write the shape of a tensor, or a number, into the node that makes it."""
    result = values[node]
    node.meta.pop("shape", None)
    node.meta.pop("value", None)
    if isinstance(result, torch.Tensor):
        node.meta["shape"] = tuple(s if isinstance(s, int) else 1 for s in result.shape)
    elif isinstance(result, int | float):
        node.meta["value"] = result  # a size worked out in the graph, at batch 1
    elif isinstance(result, torch.SymInt):
        node.meta["value"] = 1  # how many edges are left depends on the data


def _call_for_shape(node: fx.Node, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Work a layer's shape out by hand where that is simple: on fake tensors a batch norm takes 0.05 s."""
    if node.op != "call_module":
        return layer(*args, **kwargs)
    path = str(node.target)
    (x,) = args
    weight = getattr(layer, "weight", None)
    if isinstance(weight, torch.Tensor) and weight.dtype != x.dtype:
        raise TypeError(f"{path} has {weight.dtype} weights and reads {x.dtype}")
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        _expect(path, x.shape[1], layer.num_features)
        return x
    if isinstance(layer, nn.Linear):
        _expect(path, x.shape[-1], layer.in_features)
        return x.new_empty((*x.shape[:-1], layer.out_features))
    if isinstance(layer, nn.Conv2d) and x.ndim == 4 and not isinstance(layer.padding, str):
        _expect(path, x.shape[1], layer.in_channels)
        size = [_places(x.shape[2 + i], layer, i) for i in range(2)]
        return x.new_empty((x.shape[0], layer.out_channels, *size))
    return layer(*args, **kwargs)


def _expect(target: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueError(f"{target} reads {wanted} channels and gets {found}")


def _places(size: int, layer: nn.Conv2d, axis: int) -> int:
    """Return how many positions a convolution has along one axis, at least 1."""
    padded = size + 2 * int(layer.padding[axis])
    count = (padded - layer.dilation[axis] * (layer.kernel_size[axis] - 1) - 1) // layer.stride[axis] + 1
    if count < 1:
        raise ValueError(f"a kernel of {layer.kernel_size[axis]} does not fit on {padded} positions")
    return count


def annotate(graph: fx.GraphModule, input_shape: tuple[int, ...]) -> Network:
    """Work out every tensor's shape at batch size 1 without computing anything, and return the `Network`."""
    parameter = next(iter(graph.parameters()), torch.empty(0))
    with fake_mode(graph) as mode, torch.no_grad():
        examples = [t.to(parameter.device) for t in example_inputs(graph, input_shape, parameter.dtype)]
        walk = GraphWalk(graph, call=_call_for_shape)
        walk.run(walk.start(*(mode.from_tensor(t, static_shapes=True) for t in examples)), after=_record_shape)
    return Network(graph, tuple(input_shape))


def annotated(graph: fx.GraphModule, input_shape: tuple[int, ...]) -> Network:
    """Return the `Network` of a graph; its shapes are worked out only where they are not there (unpickling loses them).

    >>> from modellego.capture import capture
    >>> network = capture(nn.Linear(3, 2), (3,))
    >>> annotated(network.graph, (3,)) == network
    True
    """
    known = all("shape" in n.meta for n in graph.graph.nodes if n.op in ("placeholder", "get_attr", "call_module"))
    result = next(n for n in reversed(graph.graph.nodes) if n.op == "output").args[0]
    if known and isinstance(result, fx.Node) and "shape" in result.meta:
        return Network(graph, tuple(input_shape))
    return annotate(graph, input_shape)


def example_inputs(graph: fx.GraphModule, input_shape: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Return empty inputs at batch size 1: an image, or for a network on graphs (two inputs) one node and one edge."""
    first = torch.empty(1, *input_shape, dtype=dtype)
    return (first, torch.zeros(2, 1, dtype=torch.int64)) if reads_graph(graph) else (first,)


def reads_graph(graph: fx.GraphModule) -> bool:
    """Say whether a network has two inputs, node features and `edge_index`."""
    return bool(sum(n.op == "placeholder" for n in graph.graph.nodes) == 2)


def fake_mode(graph: fx.GraphModule) -> FakeTensorMode:
    """Return the mode to run a network without data; only one on graphs may make sizes that depend on the data."""
    if not reads_graph(graph):
        return FakeTensorMode(allow_non_fake_inputs=True)
    from torch.fx.experimental.symbolic_shapes import ShapeEnv  # brings sympy: half a second that others need not wait

    return FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv())


def peak_numbers(network: Network) -> int:
    """Return the most numbers one image's feature maps take at once during a walk.

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


def all_numbers(network: Network) -> int:
    """Return how many numbers one image's feature maps have in all, as a backward pass holds them.

    >>> from modellego.capture import capture
    >>> all_numbers(capture(torch.nn.Sequential(torch.nn.Linear(3, 40), torch.nn.Linear(40, 2)), (3,)))
    45
    """
    nodes = [n for n in network.graph.graph.nodes if n.op not in ("get_attr", "output")]
    return sum(math.prod(n.meta["shape"]) for n in nodes if "shape" in n.meta)

"""The flow of relevance backwards through the graph, from what reads a tensor to what makes it.

Each op has an adjoint: element by element, relevance passes on; a sum passes it to all its terms; an op that moves
positions about is executed once on an array of position numbers, and relevance is scattered back through it.
Relevance of a tensor is a bool array that broadcasts against its shape at batch 1, of size 1 along axes that hold no
channels.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import fx, nn

from modellego.capture.network import Network
from modellego.capture.ops import FAMILY, op_name
from modellego.channels.channel_map import ChannelMap
from modellego.channels.structure import argument, execute

Flags = NDArray[np.bool_]
Positions = NDArray[np.int64]
_NOT_FOLLOWED = (RuntimeError, ValueError, NotImplementedError, TypeError, IndexError)


@dataclass(frozen=True)
class Flow:
    """What is known of a graph before any class is looked at.

    `shapes[node]` is the shape in which a tensor's relevance is held; `moves[node]` gives, for an op that moves
    positions about, one array an output of position numbers, counted through its inputs one after the other.
    """

    network: Network
    readers: frozenset[str]
    shapes: dict[fx.Node, tuple[int, ...]] = field(default_factory=dict)
    moves: dict[fx.Node, list[Positions]] = field(default_factory=dict)

    def layer(self, node: fx.Node) -> nn.Module:
        """Return the layer a node calls."""
        return self.network.graph.get_submodule(str(node.target))


def plan_flow(network: Network, channel_map: ChannelMap) -> Flow:
    """Walk the graph once, forwards, and work out where in each tensor relevance lives; serves every category."""
    flow = Flow(network, frozenset(reading.node for reading in channel_map.readers))
    for node in network.graph.graph.nodes:
        if node.op != "output":
            flow.shapes[node] = _held_shape(flow, node)
    return flow


def flattened_maps(flow: Flow) -> dict[str, int]:
    """Return, for each linear layer behind a flatten (by node), the number of features of one channel's map."""
    found: dict[str, int] = {}
    for node in flow.network.graph.graph.nodes:
        if node.name not in flow.readers or not isinstance(flow.layer(node), nn.Linear):
            continue
        (source,) = sources_of(node)
        while source not in flow.moves and len(sources_of(source)) == 1 and source.name not in flow.readers:
            (source,) = sources_of(source)  # dropout and activations between the flatten and the layer
        numbers = flow.moves[source][0].reshape(-1) if source in flow.moves else np.zeros(0, dtype=np.int64)
        if numbers.size != node.all_input_nodes[0].meta["shape"][-1]:
            continue
        channels = int(numbers.max()) + 1
        size = numbers.size // channels
        if size > 1 and np.array_equal(numbers, np.repeat(np.arange(channels), size)):
            found[node.name] = size
    return found


def sources_of(node: fx.Node) -> list[fx.Node]:
    """Return the tensors a node reads, each once, constants left out."""
    return [n for n in node.all_input_nodes if "shape" in n.meta and n.op != "get_attr"]


def family_of(node: fx.Node) -> str:
    """Return an op's family on the closed list; `opaque` for what is not there."""
    return FAMILY.get(op_name(node.target) or "", "opaque")


def channel_axis(layer: nn.Module, ndim: int) -> int:
    """Return the axis of a layer's tensors along which its channels lie."""
    if isinstance(layer, nn.Linear):
        return ndim - 1
    return ndim - (layer.weight.dim() - 1) if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) else 1


def is_depthwise(layer: nn.Module) -> bool:
    """Say whether a layer is a convolution that works on each channel alone: it passes relevance through."""
    return isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) and layer.groups == layer.in_channels > 1


def one_axis(ndim: int, axis: int, size: int) -> tuple[int, ...]:
    """Return a shape of ones but for one axis."""
    return tuple(size if a == axis else 1 for a in range(ndim))


def any_along(flags: Flags, axes: tuple[int, ...]) -> Flags:
    """Collapse axes to size 1: relevant where any position along them is."""
    return np.asarray(np.any(flags, axis=axes, keepdims=True), dtype=np.bool_)


def fit(flags: Flags, shape: tuple[int, ...]) -> Flags:
    """Bring relevance into another shape: "any" along axes that shrink, repeated along axes that grow.

    >>> fit(np.array([[True, False], [False, False]]), (2, 1)).tolist()
    [[True], [False]]
    """
    if flags.ndim > len(shape):
        leading = tuple(range(flags.ndim - len(shape)))
        flags = any_along(flags, leading).reshape(flags.shape[len(leading) :])
    flags = flags.reshape((1,) * (len(shape) - flags.ndim) + flags.shape)
    for axis, size in enumerate(shape):
        if flags.shape[axis] not in (1, size):
            flags = any_along(flags, (axis,))
    return np.broadcast_to(flags, shape)


def _held_shape(flow: Flow, node: fx.Node) -> tuple[int, ...]:
    """Work out along which axes a node's relevance varies."""
    sources = sources_of(node)
    if op_name(node.target) == "operator.getitem" and isinstance(node.args[0], fx.Node):
        parent = node.args[0]
        return flow.moves[parent][int(node.args[1])].shape if parent in flow.moves else flow.shapes[parent]  # type: ignore[arg-type]
    family = family_of(node) if node.op == "call_function" else node.op
    if family == "structural" and sources:
        return _follow(flow, node, sources)
    shape = node.meta.get("shape") or (sources[0].meta["shape"] if sources else ())
    if family == "call_module":
        layer = flow.layer(node)
        if node.name in flow.readers or is_depthwise(layer):
            axis = channel_axis(layer, len(shape))
            return one_axis(len(shape), axis, shape[axis])
    elif family == "reduction" and sources:
        return _reduced(node, flow.shapes[sources[0]])
    elif family == "matmul" and len(sources) > 1:
        left, right = flow.shapes[sources[0]], flow.shapes[sources[-1]]
        return (*_varying([left[:-2], right[:-2]], shape[:-2]), left[-2], right[-1])
    elif family not in ("elementwise", "binary", "spatial", "pad"):
        return (1,) * len(shape)
    return _varying([flow.shapes[s] for s in sources], shape)


def _varying(held: list[tuple[int, ...]], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a tensor's size along the axes along which any of its makers varies, as broadcasting aligns them."""
    aligned = [(1,) * (len(shape) - len(h)) + h for h in held if len(h) <= len(shape)]
    return tuple(size if any(h[a] > 1 for h in aligned) else 1 for a, size in enumerate(shape))


def _reduced(node: fx.Node, held: tuple[int, ...]) -> tuple[int, ...]:
    """Return what is left of a shape after a reduction, which mixes all along its axes."""
    dims = reduced_axes(node)
    if "softmax" in str(node.target) or "cumsum" in str(node.target) or argument(node, "keepdim", False):
        return tuple(1 if a in dims else size for a, size in enumerate(held))
    return tuple(size for a, size in enumerate(held) if a not in dims)


def reduced_axes(node: fx.Node) -> tuple[int, ...]:
    """Return the axes that a reduction works along."""
    ndim = len(sources_of(node)[0].meta["shape"])
    dims = argument(node, "dim")
    if dims is None or dims == []:
        return tuple(range(ndim))
    return tuple(int(d) % ndim for d in (dims if isinstance(dims, list | tuple) else [dims]))


def _follow(flow: Flow, node: fx.Node, sources: list[fx.Node]) -> tuple[int, ...]:
    """Run an op that moves positions about on position numbers; where it cannot be followed, everything is one."""
    numbers, first = {}, 0
    for source in sources:
        shape = flow.shapes[source]
        count = int(np.prod(shape, dtype=np.int64))
        numbers[source] = np.arange(first, first + count, dtype=np.int64).reshape(shape)
        first += count
    for constant in node.all_input_nodes:
        if constant not in numbers and "shape" in constant.meta:
            numbers[constant] = np.full((1,) * len(constant.meta["shape"]), -1, dtype=np.int64)
    try:
        moved = execute(node, numbers)
    except _NOT_FOLLOWED:
        return (1,) * len(node.meta.get("shape", ()))
    flow.moves[node] = moved if isinstance(moved, list) else [moved]
    return () if isinstance(moved, list) else moved.shape

"""What a network costs: multiply-accumulates, parameters, bytes; and what was left out of the count."""

import math
from dataclasses import dataclass

from torch import fx, nn

from modellego.capture.network import Network
from modellego.capture.ops import FAMILY, op_name

# Families that move, pool or compare: no multiply-accumulate worth counting, and said so.
_FREE = {"structural", "scalar", "constant", "pad"}


@dataclass(frozen=True)
class Cost:
    """Cost of one forward pass of one image.

    `macs` counts multiply-accumulates of convolutions, linear layers and matrix products; `parameters` numbers;
    `bytes` their and the buffers' size in memory; `not_counted` names the kinds of work left out of `macs`.
    """

    macs: int
    parameters: int
    bytes: int
    not_counted: tuple[str, ...]


def node_macs(node: fx.Node, layer: nn.Module | None) -> int | None:
    """Return a node's multiply-accumulates for one image, or None where its work is not counted."""
    shape: tuple[int, ...] = node.meta.get("shape", ())
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return math.prod(shape) * layer.weight[0].numel()
    if isinstance(layer, nn.Linear):
        return math.prod(shape) * layer.in_features
    if node.op != "call_function":
        return None
    name = (op_name(node.target) or "").removeprefix("aten.").split(".")[0]
    shapes: list[tuple[int, ...]] = [n.meta["shape"] for n in node.all_input_nodes if "shape" in n.meta]
    if name in ("matmul", "bmm", "mm"):
        return math.prod(shape) * shapes[0][-1]
    if name == "scaled_dot_product_attention":
        queries, keys, features = shapes[0], shapes[1], shape[-1]
        return math.prod(queries[:-1]) * keys[-2] * (queries[-1] + features)
    if name in ("conv1d", "conv2d", "conv3d"):
        return math.prod(shape) * math.prod(shapes[1][1:])
    if name == "linear":
        return math.prod(shape) * shapes[0][-1]
    return None


def network_macs(network: Network) -> tuple[int, tuple[str, ...]]:
    """Return a network's multiply-accumulates for one image, and the kinds of work that were not counted.

    >>> from modellego.capture import capture
    >>> network_macs(capture(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), (3,)))
    (20, ('relu',))
    """
    total = 0
    missed: dict[str, None] = {}
    for node in network.graph.graph.nodes:
        if node.op not in ("call_function", "call_module"):
            continue
        layer = network.graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        macs = node_macs(node, layer)
        if macs is not None:
            total += macs
        elif layer is not None:
            missed.setdefault(type(layer).__name__)
        elif FAMILY.get(op_name(node.target) or "", "opaque") not in _FREE:
            missed.setdefault((op_name(node.target) or str(node.target)).split(".")[1])
    return total, tuple(missed)


def network_cost(network: Network) -> Cost:
    """Return what one image costs in a network.

    >>> from modellego.capture import capture
    >>> network_cost(capture(nn.Linear(3, 4), (3,))).parameters
    16
    """
    return module_cost(network.graph, *network_macs(network))


def module_cost(module: nn.Module, macs: int, not_counted: tuple[str, ...]) -> Cost:
    """Return a module's cost from its multiply-accumulates: shared tensors count once."""
    tensors = {id(t): t for t in [*module.parameters(), *module.buffers()]}
    parameters = sum(p.numel() for p in {id(p): p for p in module.parameters()}.values())
    return Cost(macs, parameters, sum(t.numel() * t.element_size() for t in tensors.values()), not_counted)

"""Match the graphs of several bricks node by node, and refuse unlike topologies by name."""

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from modellego.capture.layers import describe_layer
from modellego.capture.network import Network
from modellego.capture.ops import FAMILY, op_name
from modellego.errors import AssemblyError

Step = tuple[fx.Node, ...]  # one node of each brick, playing the same part

# Arguments of layers that count channels; all others must agree.
_COUNTS = {"in_channels", "out_channels", "groups", "bias", "in_features", "out_features", "num_features",
           "normalized_shape", "num_groups", "num_channels", "num_parameters"}  # fmt: skip
DROPOUTS = (nn.Dropout, nn.Dropout2d, nn.AlphaDropout)
# A cut may write one of these as another.
_SPLITS = {"split.Tensor", "split_with_sizes.default", "chunk.default", "tensor_split.sections"}
_SLICES = {"slice.Tensor", "narrow.default", "index_select.default"}


def match(networks: Sequence[Network], names: Sequence[str]) -> list[Step]:
    """Return the steps that all networks have in common, constants left out.

    Raises:
        AssemblyError: the networks differ in input size, or somewhere in layers, ops, settings or connections; the
            text names the first such place in both and its shapes.
    """
    for network, name in zip(networks[1:], names[1:], strict=True):
        if network.input_shape != networks[0].input_shape:
            raise AssemblyError(
                f"{names[0]} reads inputs of {_size(networks[0].input_shape)} and {name} of "
                f"{_size(network.input_shape)}: one topology needs one input size; "
                "use layout='parallel' and no scaling of layers"
            )
    rows = [[n for n in network.graph.graph.nodes if n.op != "get_attr"] for network in networks]
    numbers = [{node: i for i, node in enumerate(row)} for row in rows]
    for k in range(1, len(networks)):
        for i in range(max(len(rows[0]), len(rows[k]))):
            ours, theirs = (row[i] if i < len(row) else None for row in (rows[0], rows[k]))
            reason = _difference(ours, theirs, numbers[0], numbers[k])
            if reason:
                raise AssemblyError(
                    f"{names[0]} and {names[k]} are of different topology ({reason}): {names[0]} has {describe(ours)} "
                    f"where {names[k]} has {describe(theirs)}; use layout='parallel' and no scaling of layers"
                )
    return list(zip(*rows, strict=True))


def layer_of(node: fx.Node) -> nn.Module:
    """Return the layer a `call_module` node calls."""
    owner = node.graph.owning_module
    assert owner is not None
    return owner.get_submodule(str(node.target))


def describe(node: fx.Node | None) -> str:
    """Name a node for an error: the layer's path, type and shapes.

    >>> describe(None)
    'nothing'
    """
    if node is None:
        return "nothing"
    what = f"{node.target} ({type(layer_of(node)).__name__})" if node.op == "call_module" else _function_name(node)
    return f"{what} {shapes_of(node)}"


def shapes_of(node: fx.Node) -> str:
    """Write the shapes a node reads and makes, `[1, 3, 8, 8] -> [1, 4, 8, 8]`."""
    read = [str(list(n.meta["shape"])) for n in node.all_input_nodes if "shape" in n.meta and n.op != "get_attr"]
    made = f" -> {list(node.meta['shape'])}" if "shape" in node.meta else ""
    return f"{', '.join(read)}{made}".strip()


def _function_name(node: fx.Node) -> str:
    if node.op != "call_function":
        return f"the {node.op}"
    stack = node.meta.get("nn_module_stack")
    place = f" in {list(stack.values())[-1][0]}" if stack else ""
    return f"{op_name(node.target) or node.target}{place or f' ({node.name})'}"


def _difference(a: fx.Node | None, b: fx.Node | None, ours: dict[fx.Node, int], theirs: dict[fx.Node, int]) -> str:
    """Say how two nodes that should play the same part differ; empty where they do not."""
    if a is None or b is None:
        return "one has more layers or ops"
    if a.op != b.op:
        return "other ops"
    if _connections(a, ours) != _connections(b, theirs):
        return "other connections"
    if a.op == "call_module":
        return _layer_difference(layer_of(a), layer_of(b))
    if a.op != "call_function":
        return ""
    if _kind(a) != _kind(b):
        return "other ops"
    free = FAMILY.get(op_name(a.target) or "") in ("structural", "pad") and "cat" not in str(a.target)
    if not free and _literals(a, ours) != _literals(b, theirs):
        return "other settings"
    return ""


def _layer_difference(a: nn.Module, b: nn.Module) -> str:
    (name, ours), (other, theirs) = describe_layer(a), describe_layer(b)
    if name != other:
        return "layers of other types"
    free = _COUNTS | {"p"} if isinstance(a, DROPOUTS) else _COUNTS  # logits do not depend on how much is dropped
    unlike = [k for k in ours if k not in free and ours[k] != theirs[k]]
    return f"{', '.join(f'{k} {ours[k]} and {theirs[k]}' for k in unlike)}" if unlike else ""


def _connections(node: fx.Node, numbers: dict[fx.Node, int]) -> list[int]:
    return [numbers[n] for n in node.all_input_nodes if n.op != "get_attr"]


def _kind(node: fx.Node) -> str:
    name = (op_name(node.target) or str(node.target)).removeprefix("aten.")
    return "split" if name in _SPLITS else "slice" if name in _SLICES else name


def _literals(node: fx.Node, numbers: dict[fx.Node, int]) -> Any:
    def mark(n: fx.Node) -> Any:
        return ("constant",) if n.op == "get_attr" else ("node", numbers[n])

    return str(fx.node.map_arg((node.args, dict(node.kwargs)), mark))


def same_literals(step: Step) -> bool:
    """Say whether all bricks call an op with the same numbers, nodes and constants apart."""
    blank = [str(fx.node.map_arg((n.args, dict(n.kwargs)), lambda _: None)) for n in step]
    return all(text == blank[0] for text in blank)


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))

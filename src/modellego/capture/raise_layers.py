"""Raise ATen ops that hold parameters (conv, linear, norms, dropout) to real `nn` layers named as in the source.

So a captured graph trains, switches between train and eval mode, and can be captured and cut again.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from modellego.capture.walk import attribute

Arguments = dict[str, Any]
_CONVS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_BATCH_NORMS: dict[int, type[nn.Module]] = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}


def raise_layers(graph: fx.GraphModule, source: nn.Module) -> fx.GraphModule:
    """Return a new graph in which every op whose weights are plain constants is a layer with copies of those weights.

    `source` is the captured module: a batch norm's momentum is read from it, since the captured op loses `None`.
    """
    root: dict[str, Any] = {}
    out = fx.Graph()
    moved: dict[fx.Node, fx.Node] = {}
    copies: dict[int, torch.Tensor] = {}  # source tensor -> its one copy, so that ties stay ties
    made: dict[tuple[Any, ...], str] = {}  # same weights and settings -> the same layer, called twice

    def copy_of(path: str) -> torch.Tensor:
        tensor = attribute(graph, path)
        if id(tensor) not in copies:
            value = tensor.detach().clone()
            is_parameter = isinstance(tensor, nn.Parameter)
            copies[id(tensor)] = nn.Parameter(value, tensor.requires_grad) if is_parameter else value
        return copies[id(tensor)]

    raisable = {node: bind(node) for node in graph.graph.nodes if _is_raisable(node)}
    bare = {
        n
        for n in graph.graph.nodes
        if n.op == "get_attr" and any(u not in raisable or raisable[u]["input"] is n for u in n.users)
    }
    # the input comes first, before the constants: that is the form in which graphs are written down
    for node in sorted(graph.graph.nodes, key=lambda n: n.op != "placeholder"):
        if node in raisable:
            arguments = raisable[node]
            layer, tensors = _RAISERS[node.target](node, arguments, source)
            path = layer_path(node, arguments)
            key = (type(layer).__name__, repr(layer), tuple((k, str(w.target)) for k, w in tensors.items()))
            stateless = not tensors
            if stateless or key not in made:
                path = _free(path, root)
                for name, weight in tensors.items():
                    _set_tensor(layer, name, copy_of(str(weight.target)))
                _complete(layer, tensors)
                made[key] = path
                root[path] = layer
            new = out.call_module(made[key] if not stateless else path, (moved[arguments["input"]],))
        elif node.op == "get_attr":
            if node not in bare:
                continue
            name = str(node.target) if str(node.target) in root else _free(str(node.target), root)
            root[name] = copy_of(str(node.target))
            new = out.get_attr(name)
        else:
            new = out.node_copy(node, lambda n: moved[n])
        new.meta = dict(node.meta)
        moved[node] = new
    whole = fx.GraphModule(root, out)
    whole.graph.eliminate_dead_code()
    used = {str(n.target) for n in whole.graph.nodes if n.op in ("get_attr", "call_module")}
    result = fx.GraphModule({k: v for k, v in root.items() if k in used}, whole.graph)
    result.train(False)
    return result


def _is_raisable(node: fx.Node) -> bool:
    if node.op != "call_function" or node.target not in _RAISERS:
        return False
    weights = [a for k, a in bind(node).items() if isinstance(a, fx.Node) and k != "input"]
    return all(w.op == "get_attr" for w in weights)


def bind(node: fx.Node) -> Arguments:
    """Return a call's arguments by the names in the op's schema, defaults filled in."""
    schema = node.target._schema  # type: ignore[union-attr]
    bound: Arguments = {}
    for i, argument in enumerate(schema.arguments):
        name = "input" if argument.name == "self" else argument.name  # prelu calls it so
        if i < len(node.args):
            bound[name] = node.args[i]
        else:
            bound[name] = node.kwargs.get(argument.name, argument.default_value)
    return bound


def layer_path(node: fx.Node, arguments: Arguments) -> str:
    """Name a layer after the module its weight stands in: `layer1.0.conv1.weight` gives `layer1.0.conv1`."""
    weight = arguments.get("weight")
    if not isinstance(weight, fx.Node):
        return node.name
    origin = str(weight.meta.get("origin") or weight.target)
    parent, _, leaf = origin.rpartition(".")
    if not parent:
        return f"{leaf}_layer" if leaf != "weight" else node.name
    return parent if leaf == "weight" else f"{parent}.{leaf}_layer"


def _free(path: str, taken: dict[str, Any]) -> str:
    """Return the path, or the first numbered variant of it, that neither is taken nor runs through a taken one."""
    candidate, count = path, 1
    while any(t == candidate or t.startswith(candidate + ".") or candidate.startswith(t + ".") for t in taken):
        count += 1
        candidate = f"{path}_{count}"
    return candidate


def _set_tensor(layer: nn.Module, name: str, tensor: torch.Tensor) -> None:
    if isinstance(tensor, nn.Parameter):
        if name in layer._buffers:
            del layer._buffers[name]
        layer.register_parameter(name, tensor)
    elif name in layer._parameters:
        layer.register_parameter(name, nn.Parameter(tensor.clone()))
    else:
        layer.register_buffer(name, tensor)


def _complete(layer: nn.Module, given: dict[str, fx.Node]) -> None:
    """Give a norm that has only a weight, or only a shift, the neutral other one: its layer knows both or none."""
    for name in [key for key, value in layer._parameters.items() if value is not None and key not in given]:
        partner = next(value for key, value in layer._parameters.items() if key in given and value is not None)
        neutral = torch.full_like(partner, 1.0 if name == "weight" else 0.0)
        layer.register_parameter(name, nn.Parameter(neutral, requires_grad=False))


def _tensors(arguments: Arguments, names: dict[str, str]) -> dict[str, fx.Node]:
    return {ours: arguments[theirs] for theirs, ours in names.items() if arguments.get(theirs) is not None}


def _pair(values: Any, n: int) -> tuple[int, ...]:
    values = list(values) if isinstance(values, list | tuple) else [values]
    return tuple(values) * n if len(values) == 1 else tuple(values)


def _conv(node: fx.Node, a: Arguments, source: nn.Module) -> tuple[nn.Module, dict[str, fx.Node]]:
    shape = tuple(a["weight"].meta["val"].shape)
    n = len(shape) - 2
    padding = a["padding"] if isinstance(a["padding"], str) else _pair(a["padding"], n)
    with torch.device("meta"):
        layer = _CONVS[n](
            shape[1] * a["groups"], shape[0], tuple(shape[2:]), _pair(a["stride"], n), padding,
            _pair(a["dilation"], n), a["groups"], a["bias"] is not None,
        )  # fmt: skip
    return layer, _tensors(a, {"weight": "weight", "bias": "bias"})


def _linear(node: fx.Node, a: Arguments, source: nn.Module) -> tuple[nn.Module, dict[str, fx.Node]]:
    shape = tuple(a["weight"].meta["val"].shape)
    with torch.device("meta"):
        layer = nn.Linear(shape[1], shape[0], a["bias"] is not None)
    return layer, _tensors(a, {"weight": "weight", "bias": "bias"})


def _batch_norm(node: fx.Node, a: Arguments, source: nn.Module) -> tuple[nn.Module, dict[str, fx.Node]]:
    shape = a["input"].meta["val"].shape
    momentum = a["momentum"]
    for key in ("running_mean", "weight"):
        if isinstance(a[key], fx.Node):
            momentum = getattr(_submodule(source, str(a[key].target)), "momentum", momentum)
    tracks = a["running_mean"] is not None
    layer = _BATCH_NORMS[len(shape)](int(shape[1]), a["eps"], momentum, a["weight"] is not None, tracks)
    names = {"weight": "weight", "bias": "bias", "running_mean": "running_mean", "running_var": "running_var"}
    return layer, _tensors(a, names)


def _instance_norm(node: fx.Node, a: Arguments, source: nn.Module) -> tuple[nn.Module, dict[str, fx.Node]]:
    shape = a["input"].meta["val"].shape
    layer = nn.InstanceNorm2d(
        int(shape[1]), a["eps"], a["momentum"], a["weight"] is not None, a["running_mean"] is not None
    )
    names = {"weight": "weight", "bias": "bias", "running_mean": "running_mean", "running_var": "running_var"}
    return layer, _tensors(a, names)


def _layer_norm(node: fx.Node, a: Arguments, source: nn.Module) -> tuple[nn.Module, dict[str, fx.Node]]:
    layer = nn.LayerNorm(tuple(a["normalized_shape"]), a["eps"], a["weight"] is not None, a["bias"] is not None)
    return layer, _tensors(a, {"weight": "weight", "bias": "bias"})


def _group_norm(node: fx.Node, a: Arguments, source: nn.Module) -> tuple[nn.Module, dict[str, fx.Node]]:
    channels = int(a["input"].meta["val"].shape[1])
    layer = nn.GroupNorm(a["num_groups"], channels, a["eps"], a["weight"] is not None)
    return layer, _tensors(a, {"weight": "weight", "bias": "bias"})


def _prelu(node: fx.Node, a: Arguments, source: nn.Module) -> tuple[nn.Module, dict[str, fx.Node]]:
    return nn.PReLU(int(a["weight"].meta["val"].shape[0])), _tensors(a, {"weight": "weight"})


def _dropout(node: fx.Node, a: Arguments, source: nn.Module) -> tuple[nn.Module, dict[str, fx.Node]]:
    return nn.Dropout(a["p"]), {}


def _feature_dropout(node: fx.Node, a: Arguments, source: nn.Module) -> tuple[nn.Module, dict[str, fx.Node]]:
    return nn.Dropout2d(a["p"]), {}


def _submodule(source: nn.Module, parameter: str) -> nn.Module | None:
    try:
        return source.get_submodule(parameter.rpartition(".")[0])
    except AttributeError:
        return None


_aten = torch.ops.aten
_RAISERS: dict[Any, Callable[[fx.Node, Arguments, nn.Module], tuple[nn.Module, dict[str, fx.Node]]]] = {
    _aten.conv1d.default: _conv,
    _aten.conv2d.default: _conv,
    _aten.conv3d.default: _conv,
    _aten.conv1d.padding: _conv,
    _aten.conv2d.padding: _conv,
    _aten.conv3d.padding: _conv,
    _aten.linear.default: _linear,
    _aten.batch_norm.default: _batch_norm,
    _aten.instance_norm.default: _instance_norm,
    _aten.layer_norm.default: _layer_norm,
    _aten.group_norm.default: _group_norm,
    _aten.prelu.default: _prelu,
    _aten.dropout.default: _dropout,
    _aten.feature_dropout.default: _feature_dropout,
}

"""A captured graph to and from its document: nodes, layers, bare tensors, and which layers are one object."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from modellego.brick.format.arguments import NodeRef, decode_value, encode_value
from modellego.brick.format.document import NetworkDocument, NodeDocument, TensorDocument
from modellego.brick.format.guard import dry_run, is_operator
from modellego.brick.format.layers import encode_layer, meta_layer
from modellego.brick.format.limits import Limits
from modellego.brick.format.signature import check_operator
from modellego.brick.names import check_path
from modellego.capture.ops import OPS, op_name
from modellego.errors import FormatError


@dataclass(frozen=True)
class Expected:
    """What the weights file must hold under one name."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    parameter: bool


def encode_network(graph: fx.GraphModule) -> tuple[NetworkDocument, dict[str, torch.Tensor]]:
    """Describe a captured graph, and return its tensors by name, in the order of the document.

    Only what the nodes use is described. Tied tensors come several times, as the same object.

    Raises:
        FormatError: an op or layer that is not on the closed lists, a name that is not safe, or an argument
            the format does not hold.
    """
    modules: dict[str, nn.Module] = {}
    for node in graph.graph.nodes:
        if node.op == "call_module":
            modules.setdefault(node.target, graph.get_submodule(node.target))
    first: dict[int, str] = {}
    layers, aliases, bare = {}, {}, {}
    tensors: dict[str, torch.Tensor] = {}
    for path, module in modules.items():
        _check(path)
        if id(module) in first:
            aliases[path] = first[id(module)]
            continue
        first[id(module)] = path
        try:
            layers[path] = encode_layer(module)
        except FormatError as error:
            raise FormatError(f"layer {path}: {error}") from None
        tensors |= {f"{path}.{k}": t for k, t in _own_tensors(module).items()}
    for node in graph.graph.nodes:
        target = node.target
        if node.op == "get_attr" and target not in bare and target.rpartition(".")[0] not in modules:
            _check(target)
            bare[target], tensors[target] = _encode_tensor(target, graph)
    nodes = _encode_nodes(graph.graph)
    return NetworkDocument(layers=layers, aliases=aliases, tensors=bare, nodes=nodes), tensors


def _check(path: str) -> None:
    try:
        check_path(path)
    except ValueError as error:
        raise FormatError(f"the name {error}: rename it in the source model") from None


def _own_tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}


def _encode_tensor(target: str, graph: fx.GraphModule) -> tuple[TensorDocument, torch.Tensor]:
    value = functools.reduce(getattr, target.split("."), graph)
    if not isinstance(value, torch.Tensor):
        raise FormatError(f"node {target} reads a {type(value).__name__}; only tensors can be written to a brick")
    kind = "parameter" if isinstance(value, nn.Parameter) else "buffer"
    dtype = str(value.dtype).removeprefix("torch.")
    try:
        return TensorDocument.model_validate({"kind": kind, "dtype": dtype, "shape": tuple(value.shape)}), value
    except ValueError:
        raise FormatError(f"a {kind} of dtype {dtype} ({target}) cannot be written to a brick") from None


def _encode_nodes(graph: fx.Graph) -> list[NodeDocument]:
    """Describe the nodes under the names that `fx` gives when they are made anew in this order."""
    scratch, names, nodes = fx.Graph(), {}, []
    for node in graph.nodes:
        wanted = "output" if node.op == "output" else node.name
        wanted = f"{wanted}_1" if wanted == "self" else f"node{wanted}" if wanted.startswith("__") else wanted
        name = names[node] = scratch.create_node("placeholder", wanted, name=wanted).name
        target = _encode_target(node, name)
        try:
            args = [encode_value(a, names.__getitem__) for a in node.args]
            kwargs = {k: encode_value(v, names.__getitem__) for k, v in node.kwargs.items()}
            nodes.append(NodeDocument(name=name, op=node.op, target=target, args=args, kwargs=kwargs))
        except (FormatError, ValueError) as error:
            raise FormatError(f"node {node.name} ({node.op} {target}): {error}") from None
    return nodes


def _encode_target(node: fx.Node, name: str) -> str:
    if node.op == "call_function":
        op = op_name(node.target)
        if op is None:
            raise FormatError(f"node {node.name} calls {node.target}, which is not on the closed list of ops")
        return op
    return name if node.op == "placeholder" else str(node.target)


def expected_tensors(document: NetworkDocument, inputs: int = 1) -> dict[str, Expected]:
    """Return every tensor that a network's document asks for by name, without using memory for them.

    The graph must have as many inputs as `inputs` says.
    """
    _check_uses(document, inputs)
    wanted: dict[str, Expected] = {}
    for path, layer in document.layers.items():
        for name, tensor in _own_tensors(meta_layer(layer)).items():
            wanted[f"{path}.{name}"] = Expected(tensor.dtype, tuple(tensor.shape), isinstance(tensor, nn.Parameter))
    for path, bare in document.tensors.items():
        if path in wanted:
            raise FormatError(f"tensor {path} is described twice")
        wanted[path] = Expected(getattr(torch, bare.dtype), bare.shape, bare.kind == "parameter")
    return wanted


def build_network(
    document: NetworkDocument, tensors: Mapping[str, torch.Tensor], input_shape: tuple[int, ...], limits: Limits
) -> fx.GraphModule:
    """Build the graph of a document around the tensors that `expected_tensors` asks for.

    It comes in eval mode, with every tensor's shape at batch size 1 in `node.meta["shape"]`. No code of the
    file is run: nodes call ops and layers of the closed lists, and names are plain identifiers.

    Raises:
        FormatError: nodes out of order, dangling references, names that clash, or a graph that does not run.
    """
    network = _without_memory(document)
    example = next(iter(network.parameters()), torch.empty(0))
    shape = dry_run(network, input_shape, example.dtype, limits)
    if len(shape) != 2 or shape[0] != 1:
        raise FormatError(f"the graph gives {list(shape)} for one image; a brick gives [1, columns]")
    for path in document.layers:
        module = network.get_submodule(path)
        for name, held in _own_tensors(module).items():
            _set_tensor(module, name, tensors[f"{path}.{name}"], isinstance(held, nn.Parameter))
    for path, bare in document.tensors.items():
        owner, _, name = path.rpartition(".")
        _set_tensor(network.get_submodule(owner), name, tensors[path], bare.kind == "parameter")
    return network


def _without_memory(document: NetworkDocument) -> fx.GraphModule:
    """Build a network in eval mode whose tensors hold no data: on the meta device, or faked where it reads a graph."""
    root = nn.Module()
    for path, layer in document.layers.items():
        _container(root, path).add_module(path.rpartition(".")[2], meta_layer(layer))
    for path, original in document.aliases.items():
        if original not in document.layers:
            raise FormatError(f"alias {path} means the layer {original}, which is not there")
        _container(root, path).add_module(path.rpartition(".")[2], root.get_submodule(original))
    for path, bare in document.tensors.items():
        tensor = torch.empty(bare.shape, dtype=getattr(torch, bare.dtype), device="meta")
        _set_tensor(_container(root, path), path.rpartition(".")[2], tensor, bare.kind == "parameter")
    return fx.GraphModule(root.eval(), _build_graph(document, root))


def _set_tensor(module: nn.Module, name: str, tensor: torch.Tensor, parameter: bool) -> None:
    if parameter:
        module.register_parameter(name, tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor))
    else:
        module.register_buffer(name, tensor)


def _container(root: nn.Module, path: str) -> nn.Module:
    """Find or make the plain module that holds `path`, whose own name must still be free in it."""
    *parts, last = path.split(".")
    for part in parts:
        child = root._modules.get(part)
        if child is None and part not in root._parameters and part not in root._buffers:
            child = nn.Module()
            root.add_module(part, child)
        if type(child) is not nn.Module:
            raise FormatError(f"{path} lies inside another layer or tensor")
        root = child
    if last in root._modules or last in root._parameters or last in root._buffers:
        raise FormatError(f"{path} is the name of two things")
    return root


def _check_uses(document: NetworkDocument, inputs: int) -> None:
    """Refuse layers and tensors that no node uses, and a graph that does not begin and end as it must."""
    nodes = document.nodes
    if [i for i, n in enumerate(nodes) if n.op == "placeholder"] != list(range(inputs)):
        raise FormatError(
            "the graph must begin with its one placeholder: a brick reads one tensor"
            if inputs == 1
            else "the graph must begin with its two placeholders: node features and edges"
        )
    if nodes[-1].op != "output" or any(n.op == "output" for n in nodes[:-1]):
        raise FormatError("the graph must end with its one output")
    called = {n.target for n in nodes if n.op == "call_module"}
    read = {n.target for n in nodes if n.op == "get_attr"}
    unused = [p for p in (*document.layers, *document.aliases) if p not in called]
    unused += [p for p in document.tensors if p not in read]
    if unused:
        raise FormatError(f"no node uses {unused[0]}")


def _build_graph(document: NetworkDocument, root: nn.Module) -> fx.Graph:
    graph, nodes = fx.Graph(), dict[str, fx.Node]()
    for description in document.nodes:
        name = description.name
        if name in nodes:
            raise FormatError(f"two nodes are named {name!r}")
        try:
            target = _decode_target(description, document, root)
            args = tuple(decode_value(a, nodes) for a in description.args)
            kwargs = {k: decode_value(v, nodes) for k, v in description.kwargs.items()}
            if description.op == "call_function" and is_operator(target):
                check_operator(target.__name__, args, kwargs)
        except FormatError as error:
            raise FormatError(f"node {name!r}: {error}") from None
        node = graph.create_node(description.op, target, args, kwargs, name=name)
        if node.name != name:
            raise FormatError(f"node {name!r} has a name with a meaning of its own in Python or torch")
        nodes[name] = node
    return graph


def _decode_target(node: NodeDocument, document: NetworkDocument, root: nn.Module) -> Any:
    """Check a node's target against the closed lists and the form its op asks for."""
    if node.op == "call_function":
        if node.target not in OPS:
            raise FormatError(f"the op {node.target[:80]!r} is not on the closed list")
        return OPS[node.target]
    one_ref = len(node.args) == 1 and isinstance(node.args[0], NodeRef)
    if node.kwargs or one_ref != (node.op in ("call_module", "output")) or (node.args and not one_ref):
        raise FormatError(
            f"a {node.op} takes " + ("one node" if node.op in ("call_module", "output") else "no arguments")
        )
    if node.op == "call_module" and node.target not in document.layers and node.target not in document.aliases:
        raise FormatError(f"it calls the layer {node.target[:80]!r}, which is not there")
    if node.op == "placeholder" and node.target != node.name:
        raise FormatError("a placeholder's target is its name")
    if node.op == "output" and node.target != "output":
        raise FormatError("the output's target is 'output'")
    if node.op == "get_attr" and node.target not in document.tensors:
        owner, _, leaf = node.target.rpartition(".")
        owner = document.aliases.get(owner, owner)
        if owner not in document.layers or leaf not in _own_tensors(root.get_submodule(owner)):
            raise FormatError(f"it reads the tensor {node.target[:80]!r}, which is not there")
    return node.target

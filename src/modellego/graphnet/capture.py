"""Capture a network on graphs: node features and `edge_index` in, a row of logits per node out."""

import warnings

import torch
from torch import fx, nn
from torch.export import Dim

from modellego.capture.export import check_closed, drop_asserts
from modellego.capture.fold import fold_constants
from modellego.capture.functional import functionalise
from modellego.capture.modes import evaluating
from modellego.capture.network import Network, annotate
from modellego.capture.raise_layers import raise_layers
from modellego.errors import CaptureError
from modellego.graphnet.messages import canonical_messages

_NODES, _EDGES = 9, 30


def capture_graph(model: nn.Module, features: int) -> Network:
    """Capture a node classifier as a graph of ATen ops and `nn` layers; nodes play the part of the batch.

    Args:
        model: maps `(x, edge_index)`, float `[N, features]` and int64 `[2, E]`, to logits `[N, C]`; it stays as it is.
        features: how many features a node has.

    Raises:
        CaptureError: the model does not run on a graph, cannot be exported, or uses an op that is not on the list.

    >>> class Neighbours(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.lin = nn.Linear(4, 3)
    ...     def forward(self, x, edge_index):
    ...         h = self.lin(x).index_select(0, edge_index[0])
    ...         return torch.zeros(x.shape[0], 3).index_add(0, edge_index[1], h)
    >>> capture_graph(Neighbours(), 4).num_logits
    3
    """
    with evaluating(model):
        x, edges = _example(model, features, _NODES, _EDGES)
        expected = _forward(model, x, edges)
        graph = _export(model, x, edges)
        again = _example(model, features, _NODES + 4, _EDGES - 7)
        expected_again = _forward(model, *again)
    drop_asserts(graph)
    functionalise(graph)
    canonical_messages(graph)
    fold_constants(graph)
    raised = raise_layers(graph, model)
    check_closed(raised)
    network = annotate(raised, (features,))
    for given, wanted in (((x, edges), expected), (again, expected_again)):
        with torch.no_grad():
            got = network.graph(*given)
        if got.shape != wanted.shape or not float((got - wanted).abs().max()) <= 1e-4 * (
            float(wanted.abs().max()) or 1
        ):
            raise CaptureError(f"the captured graph of {type(model).__name__} does not compute what the model computes")
    return network


def _example(model: nn.Module, features: int, nodes: int, edges: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a random graph with a loop, a double edge and nodes without edges."""
    generator = torch.Generator().manual_seed(nodes)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    x = torch.randn(nodes, features, generator=generator).to(dtype)
    index = torch.randint(0, nodes - 2, (2, edges), generator=generator)
    index[:, 0] = 1
    index[:, 1] = index[:, 2]
    return x, index


@torch.no_grad()
def _forward(model: nn.Module, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    name = type(model).__name__
    try:
        logits = model(x, edges)
    except Exception as error:
        shapes = f"node features of shape {list(x.shape)} and edge_index {list(edges.shape)}"
        raise CaptureError(f"{name} does not run on {shapes}: {_line(error)}") from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(x):
        raise CaptureError(f"{name} is not a node classifier: it does not return one row of logits per node")
    return logits


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _export(model: nn.Module, x: torch.Tensor, edges: torch.Tensor) -> fx.GraphModule:
    shapes = ({0: Dim("nodes")}, {1: Dim("edges")})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(model, (x, edges), dynamic_shapes=shapes, strict=False)
        whole = program.module(check_guards=False)
    except Exception as error:
        raise CaptureError(f"{type(model).__name__} cannot be captured by torch.export ({_line(error)})") from error
    assert isinstance(whole, fx.GraphModule)
    plain, moved, names = fx.Graph(), dict[fx.Node, fx.Node](), iter(("x", "edge_index"))
    for node in whole.graph.nodes:
        if node.op == "call_module" and "guard" in str(node.target):
            continue
        if node.op == "placeholder":
            moved[node] = plain.placeholder(next(names))
            moved[node].meta = dict(node.meta)
        elif node.op == "output":
            result = node.args[0]
            while isinstance(result, list | tuple) and len(result) == 1:
                result = result[0]
            plain.output(moved[result])
        else:
            moved[node] = plain.node_copy(node, lambda n: moved[n])
    return fx.GraphModule(whole, plain)

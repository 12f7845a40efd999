"""Capture a classifier: any `nn.Module` that gives 2-D logits becomes a `Network`, or is refused by name."""

import contextlib
import io
import os
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.export import Dim

from modellego.capture.fold import fold_constants
from modellego.capture.functional import functionalise
from modellego.capture.inline import inline_regions
from modellego.capture.leaf import LeafRule, leaves_as_ops
from modellego.capture.modes import evaluating
from modellego.capture.network import Network, annotate
from modellego.capture.ops import op_name
from modellego.capture.raise_layers import raise_layers
from modellego.capture.unwrap import unwrapped
from modellego.errors import CaptureError

LogitsSelector = str | int | Callable[[Any], torch.Tensor]
_NO_EFFECT = (
    "_assert_scalar",
    "_assert_tensor_metadata",
    "sym_constrain_range",
    "sym_constrain_range_for_size",
    "_assert_async",
)


class _Selected(nn.Module):
    """The model with one tensor picked from what it returns."""

    def __init__(self, model: nn.Module, logits: LogitsSelector) -> None:
        super().__init__()
        self.model = model
        self.logits = logits

    def forward(self, x: torch.Tensor) -> Any:
        return _select(self.model(x), self.logits)


def capture(
    model: nn.Module,
    input_shape: tuple[int, ...],
    *,
    logits: LogitsSelector | None = None,
    leaf: Mapping[str, LeafRule] | None = None,
) -> Network:
    """Capture a classifier as a graph of ATen ops and `nn` layers that keep the source's parameter names.

    Args:
        model: maps one float tensor `[B, *input_shape]` to logits `[B, C]`; it is left as it is (mode included). What
            `DataParallel` or `torch.compile` wraps is taken out.
        input_shape: channels, height and width of the preprocessed input, without the batch axis.
        logits: where a model returns a dict, tuple or object: the key, position or attribute of the logits, or a
            function of what is returned.
        leaf: modules, by path or class name, that are not traced but taken as one op, each with the rule by which
            channels pass through it (`modellego.channels.elementwise_rule`); they have no weights and keep the shape.

    Raises:
        CaptureError: the model is no classifier, does not run on this shape, branches on data, takes several inputs,
            or uses an op that is not on the closed list; the text says where and what to do.

    >>> network = capture(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), (3, 2, 2))
    >>> network.num_logits, [n.op for n in network.graph.graph.nodes]
    (5, ['placeholder', 'call_function', 'call_module', 'output'])
    """
    model = unwrapped(model)
    with evaluating(model):
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected, example = _try_forward(model, input_shape, logits)
        wrapped = _Selected(model, logits) if logits is not None else model
        with leaves_as_ops(model, leaf or {}):
            graph = _export(wrapped, example)
    drop_asserts(graph)
    functionalise(graph)
    fold_constants(graph)
    raised = raise_layers(graph, wrapped)
    if logits is not None:
        raised = _without_prefix(raised)
    check_closed(raised)
    network = annotate(raised, tuple(input_shape))
    _check_same(network, example, expected)
    return network


def _select(output: Any, logits: LogitsSelector) -> Any:
    if callable(logits):
        return logits(output)
    if isinstance(logits, str) and not isinstance(output, dict):
        return getattr(output, logits)
    return output[logits]


def _try_forward(
    model: nn.Module, input_shape: tuple[int, ...], logits: LogitsSelector | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the model once as it is, and refuse what is no classifier before any tracing."""
    parameter = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    example = torch.randn(2, *input_shape, generator=generator).to(parameter.dtype)
    name, shape = type(model).__name__, "x".join(map(str, input_shape))
    try:
        output = model(example)
    except TypeError as error:
        raise CaptureError(
            f"{name} cannot be called with one image tensor ({error}): wrap it in a module "
            "whose forward takes only the image"
        ) from error
    except Exception as error:
        raise CaptureError(
            f"{name} does not run on an input of shape {shape} (channels x height x width): "
            f"{_first_line(error)}; give the input size it was trained on"
        ) from error
    if logits is not None:
        try:
            output = _select(output, logits)
        except (KeyError, IndexError, AttributeError, TypeError) as error:
            raise CaptureError(
                f"logits={logits!r} does not pick anything from what {name} returns, a {_describe(output)}"
            ) from error
    if not isinstance(output, torch.Tensor):
        raise CaptureError(
            f"{name} returns a {_describe(output)}, not a tensor of logits: name the logits "
            "in it by key or position: the option logits"
        )
    if output.ndim != 2 or output.shape[0] != 2:
        raise CaptureError(
            f"{name} is not a classifier: it returns a tensor of shape {list(output.shape)} "
            "for 2 images, not 2-D logits [2, classes]; pick or reshape them with the logits= "
            "selector"
        )
    return output, example


def _describe(output: Any) -> str:
    if isinstance(output, dict):
        return f"dict with keys {', '.join(map(str, output))}"
    if isinstance(output, list | tuple):
        return f"{type(output).__name__} of {len(output)}"
    return type(output).__name__


def _export(model: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):  # it prints whole graphs on failure
            warnings.simplefilter("ignore")
            program = torch.export.export(model, (example,), dynamic_shapes=({0: Dim("batch")},), strict=False)
        graph = program.module(check_guards=False)
    except Exception as error:
        raise CaptureError(
            f"{type(model).__name__} cannot be captured by torch.export{_user_line(error)} ({_first_line(error)}); "
            "control flow on data must be rewritten with torch.where, fixed for inference, or, in a module without "
            "weights, kept as one op with leaf="
        ) from error
    assert isinstance(graph, fx.GraphModule)
    inline_regions(graph)
    # what `module()` hands back checks its inputs in hooks and code of its own; only the graph is wanted
    plain = fx.Graph()
    renamed: dict[fx.Node, fx.Node] = {}
    for node in graph.graph.nodes:
        if node.op == "call_module" and "guard" in str(node.target):
            continue
        if node.op == "placeholder":
            renamed[node] = plain.placeholder("x")
            renamed[node].meta = dict(node.meta)
        elif node.op == "output":
            result = node.args[0]
            while isinstance(result, list | tuple) and len(result) == 1:
                result = result[0]
            plain.output(renamed[result])
        else:
            renamed[node] = plain.node_copy(node, lambda n: renamed[n])
    return fx.GraphModule(graph, plain)


def _user_line(error: BaseException) -> str:
    """Where in the user's own code an export failed, as far as the error tells."""
    found = re.search(r'The following call raised this error:\s+File "([^"]+)", line (\d+)', str(error))
    return f" at {os.path.basename(found[1])}:{found[2]}" if found else ""


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def drop_asserts(graph: fx.GraphModule) -> None:
    """Take out, in place, what only checks sizes and types."""
    for node in reversed(list(graph.graph.nodes)):
        if node.op == "call_function" and any(f"aten.{name}" in str(node.target) for name in _NO_EFFECT):
            graph.graph.erase_node(node)


def _without_prefix(graph: fx.GraphModule) -> fx.GraphModule:
    """Take the selector's own `model.` off every name."""
    for node in graph.graph.nodes:
        if node.op in ("get_attr", "call_module") and str(node.target).startswith("model."):
            node.target = str(node.target)[len("model.") :]
    inner = getattr(graph, "model", None)
    root = inner if isinstance(inner, nn.Module) else graph
    for name, parameter in graph.named_parameters(recurse=False):
        root.register_parameter(name, parameter)
    for name, buffer in graph.named_buffers(recurse=False):
        root.register_buffer(name, buffer)
    for name, child in graph.named_children():
        if child is not inner and not hasattr(root, name):
            root.add_module(name, child)
    return fx.GraphModule(root, graph.graph)


def check_closed(graph: fx.GraphModule) -> None:
    """Refuse an op that is not on the closed list, by name, with its place in the source model."""
    for node in graph.graph.nodes:
        if node.op == "call_function" and op_name(node.target) is None:
            raise CaptureError(
                f"the op {node.target} (at {_place(node)}) is not on the list of ops: add a "
                "rule for it with modellego.channels.add_rule, or replace it in the model"
            )


def _place(node: fx.Node) -> str:
    """Where a node stands in the source model: the path of the innermost module that made it."""
    stack = node.meta.get("nn_module_stack")
    if stack:
        path, kind = list(stack.values())[-1]
        return f"{path or 'the top'} ({str(kind).rsplit('.', 1)[-1]})"
    return node.name


def _check_same(network: Network, example: torch.Tensor, expected: torch.Tensor) -> None:
    """The captured graph must compute what the model computes: three images in, to see that the batch is free."""
    with torch.no_grad():
        got = network.graph(torch.cat([example, example[:1]]))
    scale = float(expected.abs().max()) or 1.0
    if got.shape[0] != 3 or not float((got[:2] - expected).abs().max()) <= 1e-3 * scale:
        raise CaptureError(
            "the captured graph does not compute what the model computes: the model changes "
            "its own state or draws random numbers in eval mode"
        )

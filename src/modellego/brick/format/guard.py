"""A dry run of a graph from a file, on tensors without data: it must fit together and stay within its limits.

The graph runs twice, for one image and for a large prime number of them, node by node. What the generated code does
later is the same arithmetic: operators of Python stand alone on a line of it, and a bare number never comes first
in a power (`-2 ** n` is not `(-2) ** n`). Between the two runs nothing can grow faster than the batch: a number worked
out from the batch may only grow with it, and no tensor may run empty.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from modellego.brick.format.layers import first_line
from modellego.brick.format.limits import Ledger, Limits
from modellego.brick.format.signature import check_call
from modellego.capture.network import example_inputs, fake_mode, reads_graph
from modellego.capture.ops import FAMILY, op_name
from modellego.errors import FormatError

MAX_PIECES = 4096  # that one op may take a tensor apart into, and steps of a recurrent layer
MANY = 65_537  # images: prime, so that what is no multiple of the batch shows
_NUMBERS = (bool, int, float, torch.SymInt, torch.SymFloat)
# of a size: what is larger for a larger one
_GROWING = (
    "getitem", "mul", "add", "floordiv", "truediv", "pow", "sym_max", "sym_min",
    "ceil", "floor", "sym_int", "sym_float",
)  # fmt: skip


class _Guard(fx.Interpreter):
    """Runs nodes on tensors without data, refuses what is not allowed, and notes the shapes that come out."""

    current: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        self.current = n
        if n.op == "call_function" and is_operator(n.target):
            _check_growth(n)
        result = super().run_node(n)
        _check_result(result)
        _note(n, result)
        return result

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        layer = self.fetch_attr(target)
        same = _same_shape(layer, args[0]) if isinstance(args[0], torch.Tensor) else False
        return torch.empty_like(args[0]) if same else super().call_module(target, args, kwargs)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(target, torch._ops.OpOverload):
            check_call(target, args, kwargs)
            _check_pieces(target, args, kwargs)
        elif is_operator(target):
            _check_operands(target.__name__, args)
        return super().call_function(target, args, kwargs)


def is_operator(target: Any) -> bool:
    """Tell one of Python's own operators from torch's ops."""
    return not isinstance(target, torch._ops.OpOverload) and FAMILY.get(op_name(target) or "") == "scalar"


def _same_shape(layer: nn.Module, x: torch.Tensor) -> bool:
    """Tell whether a norm fits its input, whose shape it keeps; without data torch takes milliseconds to say so."""
    weight = getattr(layer, "weight", None)
    dtype = x.dtype if weight is None else weight.dtype
    if isinstance(layer, nn.LayerNorm):
        return x.shape[-len(layer.normalized_shape) :] == layer.normalized_shape and dtype == x.dtype
    if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
        layer._check_input_dim(x)  # type: ignore[no-untyped-call]
        return x.ndim > 1 and x.shape[1] == layer.num_features and layer.running_mean.dtype == dtype == x.dtype
    return False


def _check_growth(node: fx.Node) -> None:
    """Numbers worked out in the graph come from the batch: they may only grow with it."""
    name = getattr(node.target, "__name__", "")
    if any("value" in n.meta for n in node.all_input_nodes) and name not in _GROWING:
        raise FormatError(f"{name} of the batch's size is not allowed: sizes may only grow with the batch")


def _check_operands(name: str, args: tuple[Any, ...]) -> None:
    """Python's own operators get numbers and tensors, and small powers; `check_operator` counted them."""
    if name == "getitem":
        if not isinstance(args[0], list | tuple | torch.Tensor) or type(args[1]) is not int:
            raise FormatError("getitem takes a list or tensor and a whole number")
        return
    if not all(isinstance(a, (*_NUMBERS, torch.Tensor)) for a in args):
        raise FormatError(f"{name} takes numbers or tensors only")
    if name == "pow" and not (isinstance(args[1], _NUMBERS) and 0 <= args[1] <= 64):
        raise FormatError("pow takes bare exponents from 0 to 64")
    if not any(isinstance(a, torch.Tensor) for a in args) and any(isinstance(a, int | float) and a < 0 for a in args):
        raise FormatError(f"{name} of a size takes no negative number")


def _check_pieces(op: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """An op may not take a tensor apart into thousands, nor a recurrent layer thousands of steps."""
    schema = op._schema
    states = _RECURRENT.get(schema.name)
    if states or any("List" in str(r.type) or "[]" in str(r.type) for r in schema.returns):
        given = dict(zip((a.name for a in schema.arguments), args, strict=False)) | kwargs
        x = given.get(schema.arguments[0].name)
        if not isinstance(x, torch.Tensor):
            return
        if states:
            pieces = x.shape[1 if given["batch_first"] else 0] * _recurrent_layers(x, given, states)
        else:
            pieces = _pieces(x, given)
        if pieces > MAX_PIECES:
            raise FormatError(f"it takes a tensor apart into {pieces} pieces; at most {MAX_PIECES} are allowed")


_RECURRENT = {"aten::lstm": 2, "aten::gru": 1}  # how many states a layer has


def _recurrent_layers(x: torch.Tensor, given: dict[str, Any], states: int) -> int:
    """Return how many layers and directions a recurrent op has, where it has the weights and states of so many.

    Torch reads them by number, without looking how many there are.
    """
    layers = given["num_layers"] * (1 + given["bidirectional"])
    hidden = [given["hx"]] if isinstance(given["hx"], torch.Tensor) else given["hx"]
    if len(hidden) != states or any(not isinstance(t, torch.Tensor) for t in (*hidden, *given["params"])):
        raise FormatError(f"it has {len(hidden)} states, each a tensor, where a layer has {states}")
    if x.ndim != 3 or any(state.ndim != 3 or state.shape[0] != layers for state in hidden):
        raise FormatError(f"its states must be of {layers} layers and directions, its input of three axes")
    projected = hidden[0].shape[2] != hidden[-1].shape[2]
    wanted = layers * ((4 if given["has_biases"] else 2) + projected)
    if layers < 1 or len(given["params"]) != wanted:
        raise FormatError(f"it has {len(given['params'])} weights and biases; {layers} layers have {wanted}")
    return int(layers)


def _pieces(x: torch.Tensor, given: dict[str, Any]) -> int:
    dim = given.get("dim", 0)
    length = int(x.shape[dim]) if isinstance(dim, int) and -x.ndim <= dim < x.ndim else 0
    for sizes in ("split_size", "sections", "chunks", "split_sizes"):
        if sizes in given:
            value = given[sizes]
            if isinstance(value, list | tuple):
                return len(value)
            if sizes != "split_size":
                return int(value)
            return -(-length // max(1, int(value)))
    return length


def _check_result(result: Any) -> None:
    if isinstance(result, torch.Tensor):
        # a size that depends on the data (how many edges are left) is not a number here
        if any(isinstance(size, int) and size == 0 for size in result.shape):
            raise FormatError(f"it makes an empty tensor, of shape {list(result.shape)}")
    elif isinstance(result, int | float) and not isinstance(result, bool):
        if not math.isfinite(result) or abs(result) >= 2**63:
            raise FormatError("it makes a number beyond 64 bits")
    elif isinstance(result, list | tuple):
        for item in result:
            _check_result(item)


def _note(node: fx.Node, result: Any) -> None:
    """Write what `capture.network.annotate` writes, so that the graph need not be run again for it."""
    node.meta.pop("shape", None)
    node.meta.pop("value", None)
    if isinstance(result, torch.Tensor):
        node.meta["shape"] = tuple(s if isinstance(s, int) else 1 for s in result.shape)
    elif isinstance(result, int | float):
        node.meta["value"] = result
    elif isinstance(result, torch.SymInt):
        node.meta["value"] = 1


def dry_run(
    graph: fx.GraphModule, input_shape: tuple[int, ...], dtype: torch.dtype, limits: Limits | None = None
) -> tuple[int, ...]:
    """Run a graph whose tensors lie on the meta device, for one image and for very many, and note shapes.

    Return the shape of what it gives for one image. `node.meta["shape"]` is as `annotate` leaves it.

    Raises:
        FormatError: it does not run, or costs more than `limits`; the text names the node.
    """
    limits = limits or Limits.of(0)
    _run(graph, input_shape, dtype, limits, MANY)
    return _run(graph, input_shape, dtype, limits, 1, settle=True)


def _run(
    graph: fx.GraphModule,
    input_shape: tuple[int, ...],
    dtype: torch.dtype,
    limits: Limits,
    batch: int,
    settle: bool = False,
) -> tuple[int, ...]:
    guard = _Guard(graph, garbage_collect_values=True)
    guard.extra_traceback = False
    ledger = Ledger(limits, batch, meta=not reads_graph(graph))
    try:
        with _without_data(graph, ledger), torch.no_grad():
            with torch.device("meta" if ledger.meta else "cpu"):
                examples = [_many(t, batch) for t in example_inputs(graph, input_shape, dtype)]
            output = guard.run(*examples)
    except Exception as error:  # whatever torch says of arguments that do not fit
        node = guard.current
        where = f"node {node.name!r} ({node.op} {node.target})" if node else "the graph"
        size = f"an input of shape {list(input_shape)}" + ("" if batch == 1 else " in batches of any size")
        raise FormatError(f"{where} does not run on {size}: {first_line(error)}") from error
    if settle:
        limits.work -= ledger.work
    if not isinstance(output, torch.Tensor):
        raise FormatError("the graph does not return one tensor")
    return tuple(output.shape)


@contextlib.contextmanager
def _without_data(graph: fx.GraphModule, ledger: Ledger) -> Iterator[None]:
    if ledger.meta:
        with ledger:
            yield
        return
    with fake_mode(graph):  # a network on graphs may make sizes that depend on its edges
        for module in graph.modules():
            for name, parameter in module.named_parameters(recurse=False):
                fake = torch.empty(parameter.shape, dtype=parameter.dtype)
                module.register_parameter(name, nn.Parameter(fake))
            for name, buffer in module.named_buffers(recurse=False):
                module.register_buffer(name, torch.empty(buffer.shape, dtype=buffer.dtype))
        with ledger:
            yield


def _many(example: torch.Tensor, batch: int) -> torch.Tensor:
    """Return a tensor like `example` for `batch` images, or nodes (axis 0) or edges (axis 1 of int64 `[2, E]`)."""
    shape = list(example.shape)
    shape[1 if example.dtype == torch.int64 else 0] = batch
    return torch.empty(shape, dtype=example.dtype)

"""A dry run of a graph from a file, on tensors without data: it must fit together and stay within bounds.

The arithmetic of Python itself (`operator.mul` on a list, powers of powers) and splits into millions of
pieces could use up memory even without data, so operands are checked before and results after each call.
"""

import math
from typing import Any

import torch
from torch import fx, nn

from modellego.brick.format.layers import first_line
from modellego.capture.network import example_inputs, fake_mode
from modellego.capture.ops import FAMILY, op_name
from modellego.errors import FormatError

MAX_ELEMENTS = 2**28  # of one tensor at batch 1: 1 GiB of float32
MAX_PIECES = 65536
_NUMBERS = (bool, int, float, torch.SymInt)


class _Guard(fx.Interpreter):
    """Runs nodes on fake tensors and refuses what grows out of bounds."""

    current: fx.Node | None = None

    def run_node(self, n: fx.Node) -> Any:
        self.current = n
        result = super().run_node(n)
        _check_result(result)
        return result

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(self.fetch_attr(target), nn.modules.batchnorm._BatchNorm):
            return args[0]  # slow without data, and changes no shape; `annotate` checks that it fits
        return super().call_module(target, args, kwargs)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(target, torch._ops.OpOverload):
            _check_pieces(target, args, kwargs)
        elif FAMILY.get(op_name(target) or "") == "scalar":
            _check_operands(getattr(target, "__name__", ""), args, kwargs)
        return super().call_function(target, args, kwargs)


def _check_pieces(op: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """An op that gives a list of tensors may not be fed an axis of millions."""
    if any("List" in str(r.type) or "[]" in str(r.type) for r in op._schema.returns):
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.Tensor) and max(value.shape, default=0) > MAX_PIECES:
                raise FormatError(f"it takes an axis of {max(value.shape)} apart; at most {MAX_PIECES} are allowed")


def _check_operands(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Python's own operators get numbers and tensors only, and small powers."""
    if kwargs:
        raise FormatError(f"{name} takes no keyword arguments")
    if name == "getitem":
        if len(args) != 2 or not isinstance(args[0], list | tuple | torch.Tensor) or type(args[1]) is not int:
            raise FormatError("getitem takes a list or tensor and a whole number")
        return
    if not all(isinstance(a, (*_NUMBERS, torch.Tensor)) for a in args):
        raise FormatError(f"{name} takes numbers and tensors only")
    if name == "pow" and isinstance(args[-1], _NUMBERS) and not -64 <= args[-1] <= 64:
        raise FormatError("pow takes exponents up to 64")


def _check_result(result: Any) -> None:
    if isinstance(result, torch.Tensor):
        # a size that depends on the data (edges left of a graph) is 1 here, as it is for one node and one edge
        if math.prod(s if isinstance(s, int) else 1 for s in result.shape) > MAX_ELEMENTS:
            raise FormatError(f"it makes a tensor of shape {list(result.shape)}, larger than {MAX_ELEMENTS} elements")
    elif type(result) is int:
        if abs(result) >= 2**63:
            raise FormatError("it makes a number beyond 64 bits")
    elif isinstance(result, list | tuple):
        for item in result:
            _check_result(item)


def dry_run(graph: fx.GraphModule, input_shape: tuple[int, ...], dtype: torch.dtype) -> tuple[int, ...]:
    """Run a graph at batch size 1 without data and return the shape of what it gives.

    Raises:
        FormatError: it does not run, or grows out of bounds; the text names the node.
    """
    guard = _Guard(graph, garbage_collect_values=True)
    guard.extra_traceback = False
    try:
        with fake_mode(graph) as mode, torch.no_grad():
            examples = example_inputs(graph, input_shape, dtype)
            output = guard.run(*(mode.from_tensor(t, static_shapes=True) for t in examples))
    except Exception as error:  # whatever torch says of arguments that do not fit
        where = (
            f"node {guard.current.name!r} ({guard.current.op} {guard.current.target})" if guard.current else "the graph"
        )
        raise FormatError(
            f"{where} does not run on an input of shape {list(input_shape)}: {first_line(error)}"
        ) from error
    if not isinstance(output, torch.Tensor):
        raise FormatError("the graph does not return one tensor")
    return tuple(output.shape)

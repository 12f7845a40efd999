"""What a dry run lets through, and where it stops: powers, sizes, recurrent steps, norms, and what it notes."""

import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from modellego.brick.format.guard import MAX_PIECES, _check_pieces, dry_run
from modellego.capture import capture
from modellego.errors import FormatError

aten = torch.ops.aten
Build = Callable[[fx.Graph, fx.Node], fx.Node]


def ran(build: Build) -> tuple[int, ...]:
    """Run a graph of one input [4, 6] without data."""
    graph = fx.Graph()
    graph.output(build(graph, graph.placeholder("x")))
    return dry_run(fx.GraphModule(nn.Module(), graph), (4, 6), torch.float32)


@pytest.mark.parametrize("exponent", [0, 64])
def test_small_powers_are_let_through(exponent: int) -> None:
    assert ran(lambda g, x: g.call_function(operator.pow, (x, exponent))) == (1, 4, 6)


@pytest.mark.parametrize("exponent", [-1, 65])
def test_other_powers_are_not(exponent: int) -> None:
    with pytest.raises(FormatError, match="pow takes bare exponents from 0 to 64"):
        ran(lambda g, x: g.call_function(operator.pow, (x, exponent)))


@pytest.mark.parametrize(
    "grown",
    [
        lambda g, n: g.call_function(operator.floordiv, (n, 1)),
        lambda g, n: g.call_function(math.ceil, (g.call_function(operator.truediv, (n, 1)),)),
        lambda g, n: g.call_function(math.floor, (g.call_function(operator.truediv, (n, 1)),)),
        lambda g, n: g.call_function(torch.sym_max, (n, 1)),
    ],
    ids=["floordiv", "ceil", "floor", "max"],
)
def test_sizes_that_grow_with_the_batch_are_let_through(grown: Build) -> None:
    def build(graph: fx.Graph, x: fx.Node) -> fx.Node:
        size = grown(graph, graph.call_function(aten.sym_size.int, (x, 0)))
        return graph.call_function(aten.reshape.default, (x, [size, 24]))

    assert ran(build) == (1, 24)


@pytest.mark.parametrize(("steps", "both"), [(MAX_PIECES, False), (MAX_PIECES // 2, True)])
def test_a_recurrent_layer_takes_so_many_steps_and_no_more(steps: int, both: bool) -> None:
    def check(count: int) -> None:
        sequence: Any = torch.empty(count, 1, 2, device="meta")
        state = torch.empty(1 + both, 1, 3, device="meta")
        weights = [state] * (1 + both) * 2
        _check_pieces(aten.gru.input, (sequence, state, weights, False, 1, 0.0, False, both, False), {})

    check(steps)
    with pytest.raises(FormatError, match="takes a tensor apart into"):
        check(steps + 1)


def test_notes_are_those_of_the_capture() -> None:
    class Parts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            a, b = x.chunk(2, 1)
            return (a * b).view(x.shape[0], 12)

    graph = capture(Parts(), (4, 6)).graph
    noted = {n.name: (n.meta.get("shape"), n.meta.get("value")) for n in graph.graph.nodes if n.op != "output"}
    for node in graph.graph.nodes:
        node.meta.clear()
    dry_run(graph, (4, 6), torch.float32)
    assert noted == {n.name: (n.meta.get("shape"), n.meta.get("value")) for n in graph.graph.nodes if n.op != "output"}

"""Ops that move positions about give on compressed ids what they give on full integer arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, fx

from modellego.channels.arrays import compress
from modellego.channels.structure import argument, execute

aten = torch.ops.aten
Ids = NDArray[np.int64]
Call = tuple[Callable[..., Any], list[Any]]


@st.composite
def compressed(draw: st.DrawFn, shape: list[int]) -> Ids:
    """Draw ids that vary along some axes of a tensor of this shape, compressed."""
    small = [n if draw(st.booleans()) else 1 for n in shape]
    if draw(st.booleans()):
        return compress(np.arange(np.prod(small), dtype=np.int64).reshape(small))
    count = int(np.prod(small))
    return compress(np.array(draw(st.lists(st.integers(-1, 4), min_size=count, max_size=count))).reshape(small))


shapes = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=2, max_size=4)


@st.composite
def reshapes(draw: st.DrawFn, shape: list[int]) -> Call:
    """Merge, split, add or drop axes."""
    new = list(shape)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(new) - 1))
        if draw(st.booleans()) and at + 1 < len(new):
            new[at : at + 2] = [new[at] * new[at + 1]]
        else:
            divisor = draw(st.sampled_from([d for d in (1, 2, 3) if new[at] % d == 0]))
            new[at : at + 1] = [divisor, new[at] // divisor]
    return draw(st.sampled_from([aten.view.default, aten.reshape.default])), [new]


@st.composite
def calls(draw: st.DrawFn, shape: list[int]) -> Call:
    """Draw an op on one tensor of this shape, and its other arguments."""
    ndim = len(shape)
    axis = draw(st.integers(-ndim, ndim - 1))
    other = draw(st.integers(-ndim, ndim - 1))
    size = shape[axis]
    begin = draw(st.integers(0, size - 1))
    length = draw(st.integers(1, size - begin))
    first = draw(st.integers(0, size))
    choices: list[Call] = [
        (aten.permute.default, [draw(st.permutations(range(ndim)))]),
        (aten.transpose.int, [axis, other]),
        (aten.unsqueeze.default, [axis]),
        (aten.squeeze.dim, [axis]),
        (aten.flip.default, [[axis]]),
        (aten.roll.default, [[draw(st.integers(-2, 2))], [axis]]),
        (aten.slice.Tensor, [axis, begin, begin + length, draw(st.integers(1, 3))]),
        (aten.narrow.default, [axis, begin, length]),
        (aten.select.int, [axis, begin]),
        (aten.unbind.int, [axis]),
        (aten.chunk.default, [draw(st.integers(1, 3)), axis]),
        (aten.split.Tensor, [draw(st.integers(1, size)), axis]),
        (aten.tensor_split.sections, [draw(st.integers(1, 3)), axis]),
        (aten.repeat.default, [[draw(st.integers(1, 2)) for _ in shape]]),
        (aten.repeat_interleave.self_int, [2, axis]),
        (aten.movedim.int, [axis, other]),
        (aten.expand.default, [[2, *shape]]),
    ]
    if 0 < first < size:
        choices.append((aten.split_with_sizes.default, [[first, size - first], axis]))
    return draw(st.one_of(st.sampled_from(choices), reshapes(shape)))


@st.composite
def one_tensor(draw: st.DrawFn) -> tuple[list[int], Ids, Call]:
    shape = draw(shapes)
    return shape, draw(compressed(shape)), draw(calls(shape))


def traced(op: Callable[..., Any], shapes: list[list[int]], build: Callable[[list[fx.Node]], tuple[Any, ...]]) -> Any:
    """Return the node of a call whose tensors have these shapes, and the tensors' nodes."""
    graph = fx.Graph()
    inputs = [graph.placeholder(f"x{i}") for i in range(len(shapes))]
    for node, shape in zip(inputs, shapes, strict=True):
        node.meta["shape"] = tuple(shape)
    return graph.call_function(op, build(inputs)), inputs


def check(node: fx.Node, found: Any, expected: Any) -> None:
    """Compare compressed results with full ones."""
    if isinstance(expected, Tensor):
        found, expected = [found], [expected]
    assert len(found) == len(expected)
    for small, full in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.broadcast_to(small, full.shape), full.numpy())


@given(one_tensor())
def test_an_op_on_compressed_ids_is_the_op_on_full_ones(drawn: tuple[list[int], Ids, Call]) -> None:
    shape, ids, (op, arguments) = drawn
    expected = op(torch.from_numpy(np.broadcast_to(ids, shape).copy()), *arguments)
    node, (x,) = traced(op, [shape], lambda nodes: (nodes[0], *arguments))
    if isinstance(expected, Tensor):
        node.meta["shape"] = tuple(expected.shape)
    check(node, execute(node, {x: ids}), expected)


@st.composite
def several(draw: st.DrawFn) -> tuple[Callable[..., Any], list[list[int]], list[Ids], int]:
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    op = draw(st.sampled_from([aten.cat.default, aten.stack.default]))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    parts = [list(shape) for _ in range(draw(st.integers(1, 3)))]
    if op is aten.cat.default:
        for part in parts:
            part[axis] = draw(st.integers(1, 3))
    return op, parts, [draw(compressed(p)) for p in parts], axis


@given(several())
def test_joining_compressed_ids_is_joining_full_ones(drawn: Any) -> None:
    op, parts, ids, axis = drawn
    full = [torch.from_numpy(np.broadcast_to(i, p).copy()) for i, p in zip(ids, parts, strict=True)]
    expected = op(full, axis)
    node, inputs = traced(op, parts, lambda nodes: (nodes, axis))
    node.meta["shape"] = tuple(expected.shape)
    check(node, execute(node, dict(zip(inputs, ids, strict=True))), expected)


def test_results_are_compressed() -> None:
    node, (x,) = traced(aten.cat.default, [[1, 2, 4]], lambda nodes: (nodes, 1))
    node.meta["shape"] = (1, 2, 4)
    assert execute(node, {x: np.array([[[5]]])}).shape == (1, 1, 1)


def test_an_empty_list_of_positions_takes_no_part_in_a_join() -> None:
    node, (x, y) = traced(aten.cat.default, [[0], [2, 3]], lambda nodes: (nodes, 1))
    node.meta["shape"] = (2, 3)
    ids = np.array([[0, 1, 2]])
    assert execute(node, {x: np.array([-1]), y: ids}).tolist() == [[0, 1, 2]]


def test_picking_along_an_axis_without_channels_needs_no_index() -> None:
    node, (x, _) = traced(aten.index_select.default, [[1, 3, 9], [2]], lambda n: (n[0], 2, n[1]))
    ids = np.array([[[0], [1], [2]]])
    assert execute(node, {x: ids}) is ids


def test_an_index_worked_out_from_the_data_cannot_be_followed() -> None:
    node, (x, _) = traced(aten.index_select.default, [[1, 3, 9], [2]], lambda n: (n[0], 1, n[1]))
    with pytest.raises(ValueError, match="depends on the data"):
        execute(node, {x: np.array([[[0], [1], [2]]])})


def test_a_reshape_does_not_expand_positions_that_stay() -> None:
    """[1, 6, 10^5, 10^5] to [1, 2, 3, 10^5, 10^5]: only the channels' axis is written out."""
    node, (x,) = traced(aten.view.default, [[1, 6, 10**5, 10**5]], lambda n: (n[0], [1, 2, 3, 10**5, 10**5]))
    node.meta["shape"] = (1, 2, 3, 10**5, 10**5)
    found = execute(node, {x: np.arange(6).reshape(1, 6, 1, 1)})
    assert found.tolist() == np.arange(6).reshape(1, 2, 3, 1, 1).tolist()


# Arguments by name


def argument_of(name: str, default: Any, *args: Any, **kwargs: Any) -> Any:
    graph = fx.Graph()
    x = graph.placeholder("x")
    return argument(graph.call_function(aten.slice.Tensor, (x, *args), kwargs), name, default)


def test_an_argument_is_found_by_position_by_name_or_in_the_schema() -> None:
    assert argument_of("start", 9, 1, 5) == 5
    assert argument_of("start", 9, 1, start=6) == 6
    assert argument_of("step", 9, 1) == 1  # torch's own default


def test_an_argument_that_is_none_or_unknown_has_the_default_asked_for() -> None:
    assert argument_of("end", 7, 1, 0) == 7
    assert argument_of("length", 8) == 8


def test_a_symbolic_size_has_its_value_at_batch_one() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    size = graph.call_function(aten.sym_size.int, (x, 1))
    size.meta["value"] = 12
    assert argument(graph.call_function(aten.slice.Tensor, (x, 1, size)), "start") == 12


def test_a_symbolic_size_moves_positions_by_its_value() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    x.meta["shape"] = (1, 4)
    size = graph.call_function(aten.sym_size.int, (x, 1))
    size.meta["value"] = 3
    node = graph.call_function(aten.slice.Tensor, (x, 1, 1, size))
    assert execute(node, {x: np.array([[5, 6, 7, 8]])}).tolist() == [[6, 7]]

"""Graphs to and from documents: the same function, the same names, the same shapes."""

import operator
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

from modellego.brick.format.document import NetworkDocument
from modellego.brick.format.graph import build_network, encode_network, expected_tensors
from modellego.brick.format.limits import Limits
from modellego.capture.network import annotate
from modellego.errors import FormatError

aten = torch.ops.aten


def network_of(root: nn.Module, body: Callable[[fx.Graph, fx.Node], fx.Node]) -> fx.GraphModule:
    graph = fx.Graph()
    graph.output(body(graph, graph.placeholder("x")))
    return fx.GraphModule(root.eval(), graph)


def round_trip(network: fx.GraphModule, shape: tuple[int, ...]) -> fx.GraphModule:
    document, tensors = encode_network(network)
    again = NetworkDocument.model_validate_json(document.model_dump_json(), strict=True)
    assert set(expected_tensors(again)) == set(tensors)
    return build_network(again, tensors, shape, Limits.of(0))


def same_function(a: fx.GraphModule, b: fx.GraphModule, shape: tuple[int, ...]) -> bool:
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    return torch.equal(a(x), b(x))


def layers(**modules: nn.Module) -> nn.Module:
    root = nn.Module()
    for name, module in modules.items():
        root.add_module(name, module)
    return root


def test_nodes_keep_their_names_ops_and_order() -> None:
    network = network_of(layers(fc=nn.Linear(3, 2)), lambda g, x: g.call_module("fc", (x,)))
    again = round_trip(network, (3,))
    assert [(n.name, n.op, str(n.target)) for n in again.graph.nodes] == [
        (n.name, n.op, str(n.target)) for n in network.graph.nodes
    ]


def test_shapes_are_those_of_annotate() -> None:
    network = network_of(layers(fc=nn.Linear(3, 2)), lambda g, x: g.call_module("fc", (x,)))
    annotate(network, (3,))
    again = round_trip(network, (3,))
    shapes = [n.meta.get("shape") for n in again.graph.nodes]
    assert shapes == [n.meta.get("shape") for n in network.graph.nodes]


def test_names_that_fx_would_change_are_settled_on_writing() -> None:
    graph = fx.Graph()
    x = graph.placeholder("input")
    y = graph.call_function(aten.relu.default, (x,), name="relu")
    z = graph.call_function(aten.neg.default, (y,))
    for node, name in ((y, "max"), (z, "self")):
        node._rename(name)  # fx gives way to names of Python only when it makes a node
    graph.output(z)
    network = fx.GraphModule(nn.Module(), graph)
    again = round_trip(network, (3,))
    document, _ = encode_network(again)
    assert document == encode_network(network)[0]
    assert torch.equal(again(-torch.ones(1, 3)), torch.zeros(1, 3))


def test_one_layer_at_two_places_stays_one_layer() -> None:
    network = network_of(layers(fc=nn.Linear(3, 3)), lambda g, x: g.call_module("fc", (g.call_module("fc", (x,)),)))
    again = round_trip(network, (3,))
    assert len(list(again.parameters())) == 2
    assert same_function(network, again, (3,))


def test_one_layer_under_two_names_stays_one_layer() -> None:
    norm = nn.BatchNorm1d(3)
    network = network_of(
        layers(first=norm, second=norm), lambda g, x: g.call_module("second", (g.call_module("first", (x,)),))
    )
    again = round_trip(network, (3,))
    assert again.get_submodule("first") is again.get_submodule("second")


def test_a_tensor_of_a_layer_may_be_read_on_its_own() -> None:
    def body(graph: fx.Graph, x: fx.Node) -> fx.Node:
        read = graph.call_function(aten.mul.Tensor, (x, graph.get_attr("fc.bias")))
        return graph.call_module("fc", (read,))

    network = network_of(layers(fc=nn.Linear(3, 3)), body)
    again = round_trip(network, (3,))
    assert len(list(again.parameters())) == 2
    assert same_function(network, again, (3,))


def test_a_tensor_of_a_layer_that_is_not_called_is_kept_alone() -> None:
    network = network_of(
        layers(fc=nn.Linear(3, 3)), lambda g, x: g.call_function(aten.mul.Tensor, (x, g.get_attr("fc.bias")))
    )
    again = round_trip(network, (3,))
    assert [name for name, _ in again.named_parameters()] == ["fc.bias"]
    assert same_function(network, again, (3,))


def test_lists_of_tensors_and_sizes_worked_out_in_the_graph_come_back() -> None:
    def body(graph: fx.Graph, x: fx.Node) -> fx.Node:
        parts = graph.call_function(aten.split.Tensor, (x, 2, 1))
        both = [graph.call_function(operator.getitem, (parts, i)) for i in (1, 0)]
        y = graph.call_function(aten.cat.default, (both, 1))
        batch = graph.call_function(aten.sym_size.int, (x, 0))
        wide = graph.call_function(operator.mul, (batch, 2))
        y = graph.call_function(aten.reshape.default, (y, [wide, -1]))
        return graph.call_function(aten.reshape.default, (y, [batch, -1]))

    network = network_of(nn.Module(), body)
    assert same_function(network, round_trip(network, (4,)), (4,))


def test_buffers_of_whole_numbers_come_back() -> None:
    root = nn.Module()
    root.register_buffer("order", torch.tensor([2, 0]), persistent=False)
    network = network_of(root, lambda g, x: g.call_function(aten.index_select.default, (x, 1, g.get_attr("order"))))
    again = round_trip(network, (3,))
    assert same_function(network, again, (3,))
    assert again.order.dtype == torch.int64


def test_what_no_node_uses_is_left_out() -> None:
    root = layers(fc=nn.Linear(3, 2), unused=nn.Linear(9, 9))
    network = network_of(root, lambda g, x: g.call_module("fc", (x,)))
    network.add_module("unused", root.unused)
    assert "unused" not in dict(round_trip(network, (3,)).named_modules())


UNARY = [aten.relu.default, aten.neg.default, aten.tanh.default, aten.abs.default]
BINARY = [aten.add.Tensor, aten.mul.Tensor, aten.maximum.default]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12))
def test_random_graphs_compute_the_same(steps: list[tuple[int, int, int]]) -> None:
    def body(graph: fx.Graph, x: fx.Node) -> fx.Node:
        made = [x]
        for kind, i, j in steps:
            a, b = made[i % len(made)], made[j % len(made)]
            if kind < 4:
                made.append(graph.call_function(UNARY[kind], (a,)))
            elif kind < 7:
                made.append(graph.call_function(BINARY[kind - 4], (a, b)))
            else:
                made.append(graph.call_module("fc", (a,)))
        return made[-1]

    network = network_of(layers(fc=nn.Linear(3, 3)), body)
    assert same_function(network, round_trip(network, (3,)), (3,))


def _root_with(name: str, module: nn.Module) -> nn.Module:
    root = nn.Module()
    root._modules[name] = module
    return root


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (network_of(nn.Module(), lambda g, x: g.call_function(torch.relu, (x,))), "closed list of ops"),
        (network_of(layers(rnn=nn.LSTM(2, 2)), lambda g, x: g.call_module("rnn", (x,))), "layer rnn: .*closed list"),
        (network_of(layers(a=nn.ReLU()), lambda g, x: g.call_module("a", (x,))), "closed list"),
        (network_of(nn.Module(), lambda g, x: g.call_function(aten.add.Tensor, (x, 1j))), "node add_tensor"),
        (network_of(_root_with("a b", nn.Linear(2, 2)), lambda g, x: g.call_module("a b", (x,))), "rename"),
    ],
    ids=["op", "layer", "layer without parameters", "argument", "name"],
)  # fmt: skip
def test_what_the_format_cannot_hold_is_refused_by_name(network: fx.GraphModule, complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        encode_network(network)

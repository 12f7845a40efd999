"""The walker: order, what is kept and for how long, several batches side by side, parts of a graph."""

import pytest
import torch
from torch import fx, nn

from modellego.capture.walk import GraphWalk, Values, attribute


class Branches(nn.Module):
    """A residual block with a constant beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.shift = nn.Parameter(torch.rand(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        return torch.add(self.second(torch.relu(first)), first) + self.shift


@pytest.fixture
def graph() -> fx.GraphModule:
    torch.manual_seed(0)
    return fx.symbolic_trace(Branches())


def by_name(graph: fx.GraphModule) -> dict[str, fx.Node]:
    return {node.name: node for node in graph.graph.nodes}


def test_the_output_is_the_graphs_own(graph: fx.GraphModule) -> None:
    images, walk = torch.rand(4, 3), GraphWalk(graph)
    assert torch.equal(walk.run(walk.start(images))[walk.output], graph(images))


def test_values_go_after_their_last_use_and_not_before(graph: fx.GraphModule) -> None:
    walk, left = GraphWalk(graph), {}

    def note(node: fx.Node, values: Values) -> None:
        left[node.name] = {n.name for n in values}

    walk.run(walk.start(torch.rand(4, 3)), before=note)
    assert left["relu"] == {"first"}
    assert left["add"] == {"first", "second"}
    assert left["output"] == {"add_1"}


def test_held_values_stay(graph: fx.GraphModule) -> None:
    nodes = by_name(graph)
    walk = GraphWalk(graph, hold=[nodes["relu"]])
    assert set(walk.run(walk.start(torch.rand(4, 3)))) == {nodes["relu"], walk.output}


def test_another_order_gives_the_same_and_frees_by_itself(graph: fx.GraphModule) -> None:
    images, nodes = torch.rand(4, 3), by_name(graph)
    order = [nodes[name] for name in ("shift", "x", "first", "relu", "second", "add", "add_1", "output")]
    walk, left = GraphWalk(graph, order=order), {}

    def note(node: fx.Node, values: Values) -> None:
        left[node.name] = {n.name for n in values}

    assert torch.equal(walk.run(walk.start(images), before=note)[walk.output], graph(images))
    assert left["relu"] == {"shift", "first"}


def test_a_run_can_stop_and_go_on(graph: fx.GraphModule) -> None:
    images, walk, nodes = torch.rand(4, 3), GraphWalk(graph), by_name(graph)
    values = walk.run(walk.start(images), stop=nodes["second"])
    assert nodes["second"] not in values
    assert torch.equal(walk.run(values, nodes["second"])[walk.output], graph(images))


def test_batches_side_by_side_do_not_meet(graph: fx.GraphModule) -> None:
    batches, walk = [torch.rand(4, 3), torch.rand(2, 3)], GraphWalk(graph)
    held = [walk.start(batch) for batch in batches]
    for node in walk.nodes:
        for values in held:
            walk.compute(node, values)
            walk.free(node, values)
    for values, batch in zip(held, batches, strict=True):
        assert torch.equal(values[walk.output], graph(batch))


def test_a_hook_may_change_a_result(graph: fx.GraphModule) -> None:
    images, walk = torch.rand(4, 3), GraphWalk(graph)

    def silence(node: fx.Node, values: Values) -> None:
        if node.name in ("first", "second"):
            values[node] = torch.zeros_like(values[node])

    shift = attribute(graph, "shift")
    assert torch.equal(walk.run(walk.start(images), after=silence)[walk.output], shift.expand(4, 3))


def test_the_call_can_be_put_in_place_of_the_plain_one(graph: fx.GraphModule) -> None:
    called = []

    def call(node: fx.Node, target, args, kwargs):
        called.append(node.name)
        return target(*args, **kwargs)

    walk = GraphWalk(graph, call=call)
    walk.run(walk.start(torch.rand(4, 3)))
    assert called == ["first", "relu", "second", "add", "add_1"]


def test_a_walk_needs_all_inputs(graph: fx.GraphModule) -> None:
    with pytest.raises(ValueError, match="shorter"):
        GraphWalk(graph).start()

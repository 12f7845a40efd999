"""The one way a graph is run node by node: over values that the caller holds, one dict per batch."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import fx

Values = dict[fx.Node, Any]
Hook = Callable[[fx.Node, Values], None]
Call = Callable[[fx.Node, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def plain_call(node: fx.Node, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a node's layer or op, and nothing else."""
    return target(*args, **kwargs)


class GraphWalk:
    """Runs the nodes of a graph in order and drops each result after its last use.

    Results live in a dict by node that `start` makes: one for each batch, so that several batches can be walked side
    by side.

    Args:
        graph: what is run; its layers and constants are looked up once.
        order: the nodes in another order than the graph's; each must come after what it reads.
        hold: nodes whose results are not dropped.
        call: how layers and functions are called.

    >>> net = fx.symbolic_trace(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()))
    >>> walk = GraphWalk(net)
    >>> seen = []
    >>> values = walk.run(walk.start(torch.rand(5, 3)), after=lambda node, values: seen.append(node.name))
    >>> seen, values[walk.output].shape, len(values)
    (['input_1', '_0', '_1', 'output'], torch.Size([5, 2]), 1)
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        *,
        order: Sequence[fx.Node] | None = None,
        hold: Iterable[fx.Node] = (),
        call: Call = plain_call,
    ) -> None:
        self.graph = graph
        self.modules = dict(graph.named_modules())
        self.nodes: list[fx.Node] = list(graph.graph.nodes if order is None else order)
        self.position = {node: i for i, node in enumerate(self.nodes)}
        self.output = self.nodes[-1]
        self.call = call
        last = {used: i for i, node in enumerate(self.nodes) for used in node.all_input_nodes}
        self._last = last
        held = set(hold)
        self._ends: dict[int, list[fx.Node]] = {}
        for node, position in last.items():
            if node not in held:
                self._ends.setdefault(position, []).append(node)

    def start(self, *inputs: Any) -> Values:
        """Return the values of a new batch: the graph's inputs."""
        return dict(zip((n for n in self.nodes if n.op == "placeholder"), inputs, strict=True))

    def run(
        self,
        values: Values,
        start: fx.Node | None = None,
        stop: fx.Node | None = None,
        *,
        before: Hook | None = None,
        after: Hook | None = None,
    ) -> Values:
        """Run the nodes from `start` up to but without `stop`, all by default, and return the values.

        `before` sees each node when what it reads is there; `after` when its result is too, and may change it.
        """
        first = 0 if start is None else self.position[start]
        end = len(self.nodes) if stop is None else self.position[stop]
        for node in self.nodes[first:end]:
            if before is not None:
                before(node, values)
            self.compute(node, values)
            if after is not None:
                after(node, values)
            self.free(node, values)
        return values

    def needed_from(self, node: fx.Node) -> list[fx.Node]:
        """Return the nodes before a node whose results are read at it or later."""
        place = self.position[node]
        return [n for n in self.nodes[:place] if self._last.get(n, -1) >= place]

    def compute(self, node: fx.Node, values: Values) -> None:
        """Work out one node; what it reads must be there. Inputs are there from the start."""
        if node.op == "placeholder":
            return
        if node.op == "get_attr":
            values[node] = attribute(self.graph, str(node.target))
            return
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: values[n])
        if node.op == "output":
            values[node] = args[0]
            return
        values[node] = self.call(node, self._callee(node), args, kwargs)

    def _callee(self, node: fx.Node) -> Any:
        if node.op == "call_module":
            return self.modules[str(node.target)]
        return getattr(torch.Tensor, str(node.target)) if node.op == "call_method" else node.target

    def free(self, node: fx.Node, values: Values) -> None:
        """Drop what was needed last at this node."""
        for used in self._ends.get(self.position[node], ()):
            values.pop(used, None)


def attribute(graph: torch.nn.Module | None, path: str) -> Any:
    """Return the parameter, buffer or module at a dotted path, as a `get_attr` node names it.

    >>> attribute(torch.nn.Sequential(torch.nn.Linear(3, 2)), "0.bias").shape
    torch.Size([2])
    """
    found: Any = graph
    for part in path.split("."):
        found = getattr(found, part)
    return found

"""Logits of several classes made one by log-sum-exp, as ops at a network's end: their probabilities add up.

The ops are of the closed list, so that a brick with such classes is saved, exported and cut like any other.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import fx

from modellego.capture.network import Network

_split = torch.ops.aten.split_with_sizes.default
_sum = torch.ops.aten.logsumexp.default
_cat = torch.ops.aten.cat.default


@dataclass(frozen=True)
class Joined:
    """What a network's end joins: the tensor of plain logits, how many of them make each class, and the nodes of it."""

    logits: fx.Node
    sizes: tuple[int, ...]
    nodes: frozenset[str]


def join_logits(network: Network, sizes: Sequence[int]) -> None:
    """Make each run of so many logits one, `log(sum(exp(run)))`, in place; runs of one stay as they are.

    `sizes` add up to the network's logits.

    >>> from modellego.capture import capture
    >>> network = capture(torch.nn.Linear(3, 5), (3,))
    >>> plain = network.graph(torch.ones(1, 3)).softmax(1)
    >>> join_logits(network, [2, 1, 2])
    >>> torch.allclose(network.graph(torch.ones(1, 3)).softmax(1)[:, 0], plain[:, :2].sum(1))
    True
    """
    if all(size == 1 for size in sizes):
        return
    graph = network.graph.graph
    end = next(n for n in reversed(graph.nodes) if n.op == "output")
    logits = end.args[0]
    assert isinstance(logits, fx.Node)
    parts: list[tuple[int, bool]] = []  # runs of single logits are one part
    for size in sizes:
        if size == 1 and parts and not parts[-1][1]:
            parts[-1] = (parts[-1][0] + 1, False)
        else:
            parts.append((size, size > 1))
    with graph.inserting_before(end):
        split = graph.call_function(_split, (logits, [size for size, _ in parts], 1))
        pieces = []
        for k, (size, several) in enumerate(parts):
            piece = graph.call_function(operator.getitem, (split, k))
            piece.meta["shape"] = (1, size)
            if several:
                piece = graph.call_function(_sum, (piece, [1], True))
                piece.meta["shape"] = (1, 1)
            pieces.append(piece)
        whole = graph.call_function(_cat, (pieces, 1))
        whole.meta["shape"] = (1, len(sizes))
    end.args = (whole,)
    end.meta["shape"] = whole.meta["shape"]
    network.graph.recompile()


def joined_at(output: object) -> Joined | None:
    """Return what a network's result joins, if it is made as `join_logits` makes it."""
    if not isinstance(output, fx.Node) or output.target is not _cat or list(output.args[1:]) != [1]:
        return None
    pieces = output.args[0]
    sizes: list[int] = []
    nodes = [output]
    split: fx.Node | None = None
    for k, piece in enumerate(pieces if isinstance(pieces, list | tuple) else ()):
        several = isinstance(piece, fx.Node) and piece.target is _sum
        if several:
            if list(piece.args[1:]) != [[1], True]:
                return None
            nodes.append(piece)
        part = piece.args[0] if several else piece
        if not isinstance(part, fx.Node) or part.target is not operator.getitem or part.args[1] != k:
            return None
        source = part.args[0]
        if not isinstance(source, fx.Node) or source.target is not _split or split not in {None, source}:
            return None
        split = source
        nodes.append(part)
        size = int(split.args[1][k])  # type: ignore[index, arg-type]
        sizes += [size] if several else [1] * size
    if split is None or len(split.args[1]) != len(pieces) or split.args[2] != 1:  # type: ignore[arg-type]
        return None
    logits = split.args[0]
    if not isinstance(logits, fx.Node) or len(logits.meta.get("shape", ())) != 2:
        return None
    return Joined(logits, tuple(sizes), frozenset(n.name for n in [*nodes, split]))


def unjoined(network: Network) -> tuple[Network, tuple[range, ...]]:
    """Return a network up to its plain logits, and which of them make each class; weights are shared, not copied.

    >>> from modellego.capture import capture
    >>> network = capture(torch.nn.Linear(3, 5), (3,))
    >>> join_logits(network, [4, 1])
    >>> bare, inner = unjoined(network)
    >>> bare.num_logits, inner
    (5, (range(0, 4), range(4, 5)))
    """
    found = joined_at(list(network.graph.graph.nodes)[-1].args[0])
    if found is None:
        return network, tuple(range(k, k + 1) for k in range(network.num_logits))
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in network.graph.graph.nodes:
        if node.name in found.nodes or node.op == "output":
            continue
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[found.logits])
    bare = fx.GraphModule(network.graph, graph)
    ends = list(accumulate(found.sizes))
    return Network(bare, network.input_shape), tuple(
        range(end - size, end) for size, end in zip(found.sizes, ends, strict=True)
    )

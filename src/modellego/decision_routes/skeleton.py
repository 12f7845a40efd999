"""The bones of a route picture: a network's graph reduced to the tensors whose channels are drawn as marks.

A stage is the image, what a layer that mixes channels makes, or what a sum or product of two tensors makes; norms,
activations, pooling and depthwise convolutions pass channels through and are no stages. A concatenation is a junction
without marks of its own. What a layer makes only to be added at once is one stage with the sum.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import fx

from modellego.capture.network import Network
from modellego.capture.ops import FAMILY, op_name
from modellego.channels import ChannelMap, Reading

Ids = NDArray[np.int64]


@dataclass
class RouteStage:
    """One tensor: its name, what makes it, and the channel group of each of its marks, int64 `[channels]`."""

    name: str
    kind: str
    groups: Ids
    made_by: list[str] = field(default_factory=list)  # the layers (module paths) whose weights make it


@dataclass(frozen=True)
class Hop:
    """A link between two stages: `reading` is the layer's call whose weights lie in between, or None for a skip."""

    source: int
    target: int
    reading: str | None


@dataclass(frozen=True)
class LayerPlaces:
    """One reading layer on the picture: what it reads and makes, as (stage, channel) of each input and output.

    `inputs` and `outputs` are int64 `[P, 2]` and `[Q, 2]`; rows of -1 where a feature is on no stage.
    """

    reading: Reading
    inputs: Ids
    outputs: Ids


@dataclass(frozen=True)
class Skeleton:
    """Stages in the graph's order, the links between them, and the reading layers, by node."""

    stages: list[RouteStage]
    hops: list[Hop]
    readers: dict[str, LayerPlaces]


@dataclass(frozen=True)
class _Origin:
    """Where a tensor comes from: the stages that links start from, and the stages that hold its channels."""

    heads: tuple[int, ...] = ()
    marks: tuple[int, ...] = ()


def skeleton(network: Network, channels: ChannelMap) -> Skeleton:
    """Reduce a network to its stages.

    >>> from torch import nn
    >>> from modellego.capture import capture
    >>> from modellego.channels import analyse
    >>> network = capture(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)), (3, 4, 4))
    >>> [(stage.name, stage.kind, len(stage.groups)) for stage in skeleton(network, analyse(network)).stages]
    [('input', 'input', 3), ('0', 'conv', 4), ('3', 'logits', 2)]
    """
    readings = {reading.node: reading for reading in channels.readers}
    stages: list[RouteStage] = []
    hops: list[Hop] = []
    origins: dict[fx.Node, _Origin] = {}
    made: dict[str, int] = {}  # reading node -> the stage it makes

    def add(stage: RouteStage) -> _Origin:
        stages.append(stage)
        return _Origin((len(stages) - 1,), (len(stages) - 1,))

    for node in network.graph.graph.nodes:
        sources = [origins[source] for source in node.all_input_nodes if origins[source].heads]
        together = _union(sources) if _is_tensor(node) else _Origin()
        origins[node] = together
        if node.op == "placeholder":
            origins[node] = add(RouteStage("input", "input", np.full(network.input_shape[0], -1)))
        elif node.name in readings:
            reading = readings[node.name]
            kind = "linear" if len(node.meta["shape"]) != 4 else "conv"
            origins[node] = add(RouteStage(reading.layer, kind, reading.out_groups, [reading.layer]))
            made[node.name] = len(stages) - 1
            hops += [Hop(head, len(stages) - 1, node.name) for head in together.heads]
        elif len({source.heads for source in sources}) > 1 and (kind := _meeting(node)):
            groups = _groups_of(channels, node) if kind != "concat" else np.empty(0, np.int64)
            if kind != "concat" and not len(groups):
                continue
            beside = [stages[head].name for head in together.heads]
            new = add(RouteStage(_common(beside, kind) if kind == "concat" else kind, kind, groups))
            hops += [Hop(head, new.heads[0], None) for head in together.heads]
            origins[node] = _Origin(new.heads, together.marks) if kind == "concat" else new
    inputs = {
        node.name: _place(readings[node.name].in_groups, origins[node.all_input_nodes[0]].marks, stages)
        for node in origins
        if node.name in made
    }
    _name_last(network, origins, stages)
    readers = {
        name: LayerPlaces(readings[name], inputs[name], _rows(stage, len(readings[name].out_groups)))
        for name, stage in made.items()
    }
    return _merged(stages, hops, readers)


def _is_tensor(node: fx.Node) -> bool:
    """Sizes worked out in the graph (of the batch, say) come from no channel."""
    name = op_name(node.target) or ""
    return "shape" in node.meta or FAMILY.get(name) != "scalar" or name == "operator.getitem"


def _meeting(node: fx.Node) -> str:
    """What a node does with several tensors that come from unlike places, or nothing if it only passes them on."""
    name = op_name(node.target) or ""
    if name.startswith(("aten.cat", "aten.stack")):
        return "concat"
    if FAMILY.get(name) == "binary" or name.startswith("operator."):
        return "product" if "mul" in name or "div" in name else "sum"
    return ""


def _union(origins: Iterable[_Origin]) -> _Origin:
    found = list(origins)
    heads = dict.fromkeys(head for origin in found for head in origin.heads)
    marks = dict.fromkeys(mark for origin in found for mark in origin.marks)
    return _Origin(tuple(heads), tuple(marks))


def _groups_of(channels: ChannelMap, node: fx.Node) -> Ids:
    """The channel groups of a tensor, each once, in the order in which they lie."""
    ids = channels.ids[node.name].ravel()
    groups, first = np.unique(ids, return_index=True)
    return groups[np.argsort(first)][groups[np.argsort(first)] >= 0]


def _place(groups: Ids, marks: tuple[int, ...], stages: list[RouteStage]) -> Ids:
    """Find the (stage, channel) of each feature that a layer reads, by its channel group among the stages before it.

    A group that several channels share is dealt out to them in order, in equal runs (a flattened map is one run).
    """
    holders = [(stage, channel) for stage in marks for channel in range(len(stages[stage].groups))]
    places = np.full((len(groups), 2), -1, np.int64)
    if not holders:
        return places
    table = np.array(holders, np.int64)
    held = np.concatenate([stages[stage].groups for stage in marks])
    for value in np.unique(groups):
        wanted, found = np.flatnonzero(groups == value), np.flatnonzero(held == value)
        if len(found):
            places[wanted] = table[found[np.arange(len(wanted)) * len(found) // len(wanted)]]
    return places


def _rows(stage: int, count: int) -> Ids:
    return np.stack([np.full(count, stage), np.arange(count)], axis=1)


def _name_last(network: Network, origins: dict[fx.Node, _Origin], stages: list[RouteStage]) -> None:
    """Call the stage whose channels the network gives out its logits."""
    output = next(node for node in reversed(network.graph.graph.nodes) if node.op == "output")
    marks = origins[output.all_input_nodes[0]].marks
    if len(marks) == 1 and len(stages[marks[0]].groups) == network.num_logits:
        stages[marks[0]].kind = "logits"


def _merged(stages: list[RouteStage], hops: list[Hop], readers: dict[str, LayerPlaces]) -> Skeleton:
    """Make one stage of a sum and of what is made only to be added to it, and number what is left afresh."""
    leaving: dict[int, list[Hop]] = {}
    for hop in hops:
        leaving.setdefault(hop.source, []).append(hop)
    into: dict[int, int] = {}
    for index, stage in enumerate(stages):
        out = leaving.get(index, [])
        if len(out) != 1 or out[0].reading is not None or stage.kind not in ("conv", "linear"):
            continue
        target = stages[out[0].target]
        if len(target.groups) == len(stage.groups) and set(target.groups) == set(stage.groups):
            into[index] = out[0].target
            target.made_by += stage.made_by
    for stage in stages:
        if stage.made_by and stage.kind in ("sum", "product"):
            stage.name = _common(stage.made_by, stage.kind)
    kept = [index for index in range(len(stages)) if index not in into]
    number = {index: place for place, index in enumerate(kept)}

    def channel_in(index: int, channels: Ids) -> Ids:
        """The channels of a merged stage, as numbered in the sum: by their groups, in order."""
        rank = np.argsort(np.argsort(stages[index].groups, kind="stable"), kind="stable")
        order: Ids = np.argsort(stages[into[index]].groups, kind="stable")
        return order[rank[channels]]

    def renumber(places: Ids) -> Ids:
        result = places.copy()
        for index in np.unique(places[:, 0]):
            if index < 0:
                continue
            mine = places[:, 0] == index
            if index in into:
                result[mine, 1] = channel_in(int(index), places[mine, 1])
            result[mine, 0] = number[into.get(int(index), int(index))]
        return result

    new_hops = [
        Hop(number[hop.source], number[into.get(hop.target, hop.target)], hop.reading)
        for hop in hops
        if hop.source not in into
    ]
    new_readers = {
        name: LayerPlaces(reader.reading, renumber(reader.inputs), renumber(reader.outputs))
        for name, reader in readers.items()
    }
    return Skeleton([stages[index] for index in kept], new_hops, new_readers)


def _common(paths: list[str], kind: str) -> str:
    """The module that holds all these layers, or the kind of stage where there is none."""
    parts = [path.split(".")[:-1] for path in paths]
    same = 0
    while all(len(part) > same for part in parts) and len({part[same] for part in parts}) == 1:
        same += 1
    return ".".join(parts[0][:same]) or kind

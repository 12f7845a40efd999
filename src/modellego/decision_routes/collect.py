"""From a network and samples of each class to a route graph: soft r_p as marks, the strongest r_{q,p} as edges."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.capture.layers import WeightedLayer
from modellego.capture.network import Network
from modellego.channels import ChannelMap, analyse
from modellego.contribution.aggregate import LayerSums, group_count, table
from modellego.contribution.allocate import allocate, minmax
from modellego.contribution.stream import ClassSums, class_sums, reading_layers
from modellego.decision_routes.route_graph import RouteEdges, RouteGraph, RouteLayer, RouteLink
from modellego.decision_routes.skeleton import LayerPlaces, Skeleton, skeleton
from modellego.errors import LegoError

Floats = NDArray[np.float64]
_ROWS = 48  # output channels of a layer whose edges are looked at, the most relevant ones


@dataclass
class _Edges:
    """Edges between two stages, gathered class by class."""

    via: str
    weights: dict[tuple[int, int], dict[int, float]] = field(default_factory=dict)


def collect_routes(
    network: Network,
    samples: Mapping[str, tuple[int, Iterable[Tensor]]],
    *,
    channels: ChannelMap | None = None,
    edges: int = 24,
    threshold: float = 0.2,
    title: str = "Decision routes",
) -> RouteGraph:
    """Follow classes through a network and return what the route picture shows.

    `samples` holds, for each class name, the number of its logit and batches of network input `[B, *input_shape]`.
    A channel's contribution to a class is the largest `r_p` (poster's rule) among the layers that read its tensor; a
    tensor that no layer reads passes on what the sum behind it has; a class's own logit counts 1. `edges` are kept for
    each class and each layer with weights, those with the largest `r_{q,p}` times the relevance of both ends, the
    strongest scaled to 1. Raises `LegoError` for a logit that is not there. Source: contribution
    aggregation and allocation and the decision routes of Model LEGO (arXiv 2203.13453).

    >>> from torch import nn
    >>> from modellego.capture import capture
    >>> network = capture(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), (3,))
    >>> graph = collect_routes(network, {"cat": (0, [torch.rand(5, 3)]), "dog": (1, [torch.rand(5, 3)])})
    >>> [(layer.name, layer.channels) for layer in graph.layers]
    [('input', 3), ('0', 4), ('2', 2)]
    """
    wrong = [name for name, (logit, _) in samples.items() if not 0 <= logit < network.num_logits]
    if wrong:
        raise LegoError(f"class {wrong[0]} has no logit in this network, which gives {network.num_logits}")
    known = channels if channels is not None else analyse(network)
    bones, layers = skeleton(network, known), reading_layers(network, known)
    contribution = [np.zeros((len(samples), len(stage.groups))) for stage in bones.stages]
    found: dict[tuple[int, int, str], _Edges] = {}
    named = ((name, batches) for name, (_, batches) in samples.items())
    stream = class_sums(network, named, channel_map=known)
    for number, (name, sums) in enumerate(stream):
        relevance = _relevance(bones, layers, sums, samples[name][0])
        for stage, values in enumerate(relevance):
            contribution[stage][number] = values
        for node, reader in bones.readers.items():
            _strongest(found, reader, layers[node], sums.layers[node], relevance, number, edges)
    return RouteGraph(
        classes=tuple(samples),
        layers=tuple(
            RouteLayer(stage.name, stage.kind, values) for stage, values in zip(bones.stages, contribution, strict=True)
        ),
        links=_links(bones),
        edges=tuple(
            _packed(source, target, kept, len(samples)) for (source, target, _), kept in found.items() if kept.weights
        ),
        title=title,
        threshold=threshold,
    )


def _relevance(bones: Skeleton, layers: Mapping[str, WeightedLayer], sums: ClassSums, logit: int) -> list[Floats]:
    """Return the contribution of each stage's channels to one class, float64 `[channels]`, in 0..1."""
    relevance = [np.zeros(len(stage.groups)) for stage in bones.stages]
    read: set[int] = set()
    for node, reader in bones.readers.items():
        r_p = allocate(layers[node], sums.layers[node]).cpu().numpy()
        for stage in np.unique(reader.inputs[:, 0]):
            if stage >= 0:
                mine = reader.inputs[:, 0] == stage
                np.maximum.at(relevance[stage], reader.inputs[mine, 1], r_p[mine])
                read.add(int(stage))
    for index in reversed(range(len(bones.stages))):
        stage = bones.stages[index]
        if stage.kind == "logits":
            relevance[index][logit] = 1.0
        elif index not in read:
            for hop in bones.hops:
                if hop.source == index and hop.reading is None:
                    _pass_back(relevance, bones, index, hop.target)
    return [np.clip(values, 0, 1) for values in relevance]


def _pass_back(relevance: list[Floats], bones: Skeleton, stage: int, after: int) -> None:
    """A sum passes relevance to its terms: by channel group."""
    of_group = dict(zip(bones.stages[after].groups.tolist(), relevance[after].tolist(), strict=True))
    given = np.array([of_group.get(value, 0.0) for value in bones.stages[stage].groups.tolist()])
    relevance[stage] = np.maximum(relevance[stage], given)


def _strongest(
    found: dict[tuple[int, int, str], _Edges],
    reader: LayerPlaces,
    layer: WeightedLayer,
    sums: LayerSums,
    relevance: Sequence[Floats],
    number: int,
    most: int,
) -> None:
    """Add one class's strongest edges through one layer to those found so far."""
    target = int(reader.outputs[0, 0])
    wanted = relevance[target][reader.outputs[:, 1]]
    rows = np.argsort(-wanted, kind="stable")[:_ROWS]
    rows = rows[wanted[rows] > 0]
    if not len(rows) or not most:
        return
    pairs = minmax(table(layer, sums, torch.from_numpy(rows)), 1).cpu().numpy()
    groups = group_count(layer)
    width = len(reader.inputs) // groups
    first = (rows // (len(wanted) // groups)) * width  # the first input channel of each row's group
    places = reader.inputs[first[:, None] + np.arange(width)]
    source_relevance = np.zeros(places.shape[:2])
    for stage in np.unique(places[..., 0]):
        if stage >= 0:
            mine = places[..., 0] == stage
            source_relevance[mine] = relevance[stage][places[mine, 1]]
    strength = pairs * source_relevance * wanted[rows, None]
    order = np.argsort(-strength, axis=None, kind="stable")[: 4 * most]
    top = float(strength.flat[order[0]])
    if top <= 0:
        return
    taken = 0
    for row, column in zip(*np.unravel_index(order, strength.shape), strict=True):
        value = float(strength[row, column]) / top
        if value <= 0 or taken == most:
            break
        source, p = places[row, column].tolist()
        kept = found.setdefault((source, target, reader.reading.layer), _Edges(reader.reading.layer))
        classes = kept.weights.setdefault((p, int(reader.outputs[rows[row], 1])), {})
        taken += number not in classes  # features of one channel are one edge
        classes[number] = max(value, classes.get(number, 0.0))


def _links(bones: Skeleton) -> tuple[RouteLink, ...]:
    links: dict[tuple[int, int], RouteLink] = {}
    for hop in bones.hops:
        via = bones.readers[hop.reading].reading.layer if hop.reading else ""
        link = RouteLink(hop.source, hop.target, "weights" if hop.reading else "identity", via)
        links.setdefault((hop.source, hop.target), link)
    return tuple(links.values())


def _packed(source: int, target: int, kept: _Edges, classes: int) -> RouteEdges:
    weights = np.zeros((len(kept.weights), classes))
    for row, of_class in enumerate(kept.weights.values()):
        for number, value in of_class.items():
            weights[row, number] = value
    return RouteEdges(source, target, np.array(list(kept.weights), np.int64), weights, kept.via)

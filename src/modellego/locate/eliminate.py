"""Reconstruction-aware ranking: channel groups go by what their loss costs the task after a refit, per MAC."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from modellego.capture.layers import WeightedLayer
from modellego.capture.network import Network, all_numbers, peak_numbers
from modellego.capture.walk import GraphWalk, Values
from modellego.channels.channel_map import ChannelMap, Reading
from modellego.data.chunks import NetworkInput, chunks, number_of, own_part
from modellego.distributed import agreed, gathered
from modellego.leastsquares import fittable
from modellego.locate.costs import CostModel
from modellego.locate.curve import Curve, RemovableGroups, is_tied, make_curve
from modellego.locate.independent import WIDE, Independent
from modellego.locate.reconstruction import Reconstruction, make_reconstructions, owned_features
from modellego.locate.sensitivity import Trials, output_metrics
from modellego.locate.statistics import LayerStatistics

MEMORY = 400_000_000  # bytes of feature maps that are held at once
Reader = Reconstruction | Independent
PROBED = 200  # images, at most, that sensitivity is measured on; a quarter of them all, at most
ROWS = 30_000  # positions that a layer's normal equations are taken from, about
RIDGE = 1e-3  # in units of the features' mean power
BATCH = 100  # images worked on at once, at most


def gather_reconstructions(
    network: Network,
    channels: ChannelMap,
    images: NetworkInput,
    task: Sequence[int],
    *,
    seed: int,
) -> list[Reader]:
    """Return all layers that read cuttable channels, with their normal equations and their weight in the task.

    One pass over all `images` (network input; no labels) for the normal equations, a few at a time. On a quarter of
    them, 200 at most, backward passes for the metric of each output. On some of these a trial per layer: half of its
    inputs go, it is refitted, and the harm done to the task's logits fixes its scale; together the trials take about
    two forward passes. Of several processes each goes through its share of the images.
    """
    generator = torch.Generator().manual_seed(seed)
    movable = channels.cuttable.copy()
    if channels.logit_groups is not None:
        movable[channels.logit_groups] = False
    readings = _readings(network, channels, movable)
    modules = dict(network.graph.named_modules())
    size = torch.finfo(next((p.dtype for p in network.graph.parameters()), torch.float32)).bits // 8
    fits = MEMORY // (peak_numbers(network) * size)
    count = number_of(images)
    probe = torch.zeros(count, dtype=torch.bool)
    probe[torch.randperm(count, generator=generator)[: probed_of(count)]] = True
    statistics = {
        r.layer: LayerStatistics(modules[r.layer], _independent(modules[r.layer], r, movable), ROWS, count)
        for r in readings.values()
    }

    def gather(node: fx.Node, values: Values) -> None:
        if node.name in readings:
            x = values[node.all_input_nodes[0]]
            place = seed * len(readings) + places[node.name]
            statistics[str(node.target)].add(x, node.meta["shape"], numbers, place)

    places = {name: i for i, name in enumerate(readings)}
    walk = GraphWalk(network.graph)
    probed: list[Tensor] = []
    own, part = own_part(images)
    numbers = torch.zeros(0, dtype=torch.int64)  # of the images under way
    done = part.start
    with torch.no_grad():
        for block in chunks(own, max(1, min(BATCH, fits))):
            numbers = torch.arange(done, done + len(block))
            probed.append(block[probe[numbers]])
            done += len(block)
            walk.run(walk.start(block), before=gather)
    shown = gathered(probed)
    axes = {n: -1 if isinstance(modules[r.layer], nn.Linear) else 1 for n, r in readings.items()}
    at_once = max(1, min(BATCH // 2, MEMORY // (all_numbers(network) * size)))
    metrics = output_metrics(network, axes, shown, task, batch=at_once, seed=seed)
    tried = min(len(shown), max(8, min(4 * count // max(len(statistics), 1), fits)))
    evenly = torch.linspace(0, len(shown) - 1, tried).long()  # images may come class by class
    trials = Trials(network, shown[evenly], task, batch=max(1, min(BATCH, fits // 4)))
    found: list[Reader] = []
    for node in walk.nodes:
        if node.name not in readings or str(node.target) not in statistics:
            continue
        path = str(node.target)
        layer, reading = modules[path], readings[node.name]
        known = statistics.pop(path)
        first, *more = [metrics.pop(n) for n, r in readings.items() if r.layer == path and n in metrics]
        metric = sum(more, start=first)
        outputs = reading.out_groups
        made: list[Reconstruction] | list[Independent]
        if known.owned is not None:
            of = torch.from_numpy(outputs.copy())
            made = [Independent(layer, known.owned, known.blocks(), of, metric, RIDGE)]
        else:
            made = make_reconstructions(layer, reading.in_groups, outputs, known.gram(), metric, RIDGE, movable)
        del known  # the products of a wide layer are large, and its inverse has taken their place
        _measure(trials, node, layer, made)
        found += made
    return found


def probed_of(count: int) -> int:
    """Return on how many of `count` images the logits' sensitivity is measured: all are used for everything else.

    >>> probed_of(30), probed_of(500), probed_of(2_000)
    (30, 125, 200)
    """
    return min(PROBED, max(count // 4, 50), count)


def _readings(network: Network, channels: ChannelMap, movable: NDArray[np.bool_]) -> dict[str, Reading]:
    """Return the calls of layers that can be refitted and read channels that may go."""
    modules = dict(network.graph.named_modules())
    return {
        r.node: r
        for r in channels.readers
        if fittable(modules[r.layer])
        and (r.in_groups >= 0).any()
        and movable[r.in_groups[r.in_groups >= 0]].any()
        and not _depthwise(modules[r.layer])
    }


def _depthwise(layer: nn.Module) -> bool:
    return getattr(layer, "groups", 1) > 1 and layer.groups == layer.in_channels


def _independent(layer: WeightedLayer, reading: Reading, movable: NDArray[np.bool_]) -> dict[int, Tensor] | None:
    """Return which features each channel group owns where a layer is too wide for the square of its features."""
    features = layer.weight[0].numel()
    if getattr(layer, "groups", 1) > 1 or features <= WIDE:
        return None
    return owned_features(reading.in_groups, features, 1, movable)[0]


def _measure(
    trials: Trials, node: fx.Node, layer: WeightedLayer, readers: list[Reconstruction] | list[Independent]
) -> None:
    """Set the readers' scale: the harm done when each has lost half of its groups, over the loss it predicts."""
    halves = [reader.cheapest_half() for reader in readers]
    predicted = sum(loss for loss, _ in halves)
    if predicted <= 0:
        return
    whole = halves[0][1][None] if len(halves) == 1 else torch.stack([weights for _, weights in halves])
    features = layer.weight[0].numel()
    left, shift = whole[:, :features], whole[:, features:].sum(1).reshape(-1)
    weight = left.transpose(1, 2).reshape(layer.weight.shape)
    harm = trials.harm(node, layer, weight.to(layer.weight.device, layer.weight.dtype), shift)
    for reader in readers:
        reader.scale = max(harm, 1e-9) / predicted


def eliminate(
    readers: Sequence[Reader], costs: CostModel, channels: ChannelMap, whole: tuple[int, int], per: str = "macs"
) -> Curve:
    """Remove one group after the other, each time the one whose loss costs least per MAC (or parameter) saved.

    Readers are fitted anew after every removal (on paper: a rank-k update), and used up. Of several processes the first
    one's order counts, so that groups of nearly equal worth do not part them. Source: backward elimination
    with the optimal-brain-surgeon update (Hassibi and Stork 1993) on groups of features.
    """
    keep = channels.keep_all()
    removable = RemovableGroups(channels)
    of: dict[int, list[int]] = {}
    makers: dict[int, list[int]] = {}
    for i, reader in enumerate(readers):
        for s in reader.groups.tolist():
            of.setdefault(s, []).append(i)
        for s in reader.makes:
            makers.setdefault(s, []).append(i)
    shown = [reader.costs() for reader in readers]
    total = np.zeros(channels.n_groups)
    for reader, found in zip(readers, shown, strict=True):
        total[reader.groups] += reader.scale * found
    order: list[int] = []
    tied: list[bool] = []
    loss = [sum(r.scale * r.loss for r in readers)]
    every = max(1, int(removable.allowed().sum()) // 2000)
    while removable.allowed().any():
        if len(order) % every == 0:
            saving = np.maximum(costs.saving(keep, per), 1e-9)
        ratio = np.where(removable.allowed(), np.maximum(total, 0) / saving, np.inf)
        chosen = int(np.argmin(ratio))
        removable.remove(chosen)
        keep[chosen] = False
        order.append(chosen)
        tied.append(is_tied(ratio))
        rise = 0.0
        for i in {*of.get(chosen, ()), *makers.get(chosen, ())}:
            reader, before = readers[i], readers[i].loss
            reader.remove(chosen)
            reader.silence(chosen)
            found = reader.costs()
            rise += reader.scale * (reader.loss - before)
            if found is not shown[i]:
                total[reader.groups] += reader.scale * (found - shown[i])
                shown[i] = found
        loss.append(loss[-1] + rise)
    order, loss, tied = agreed((order, loss, tied))
    return make_curve(costs, channels, order, loss, whole, tied)

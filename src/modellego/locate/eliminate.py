"""Reconstruction-aware ranking: channel groups go by what their loss costs the task after a refit, per MAC."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from modellego.capture.layers import WeightedLayer
from modellego.capture.network import Network
from modellego.capture.walk import GraphWalk
from modellego.channels.channel_map import ChannelMap
from modellego.leastsquares import (
    NormalEquations,
    fittable,
    input_rows,
    per_image,
    pick_positions,
    weight_matrix,
)
from modellego.locate.costs import CostModel
from modellego.locate.curve import Curve, RemovableGroups, make_curve
from modellego.locate.reconstruction import Reconstruction, make_reconstructions
from modellego.locate.sensitivity import Trials, output_metrics


def gather_reconstructions(
    network: Network,
    channels: ChannelMap,
    images: Tensor,
    task: Sequence[int],
    *,
    rows: int = 30_000,
    ridge: float = 1e-3,
    most: int = 600,
    probed: int = 200,
    batch: int = 100,
    seed: int = 0,
) -> list[Reconstruction]:
    """Return all layers that read cuttable channels, with their normal equations and their weight in the task.

    Three passes over some of `images` (network input; no labels): forward with gradients on `probed` of them for the
    metric of each output, forward on `most` for the normal equations, and a trial per layer: half of its inputs go,
    it is refitted, and the harm done to the task's logits fixes its scale.
    """
    generator = torch.Generator().manual_seed(seed)
    images = images[torch.randperm(len(images), generator=generator)[:most]]
    movable = channels.cuttable.copy()
    if channels.logit_groups is not None:
        movable[channels.logit_groups] = False
    modules = dict(network.graph.named_modules())
    readings = {
        r.node: r
        for r in channels.readers
        if fittable(modules[r.layer])
        and (r.in_groups >= 0).any()
        and movable[r.in_groups[r.in_groups >= 0]].any()
        and not _depthwise(modules[r.layer])
    }
    axes = {n: -1 if isinstance(modules[r.layer], nn.Linear) else 1 for n, r in readings.items()}
    metrics = output_metrics(network, axes, images[:probed], task, seed=seed)
    walk = GraphWalk(network.graph)
    held = [walk.start(block) for block in images.split(batch)]  # type: ignore[no-untyped-call]
    equations: dict[str, NormalEquations] = {}
    with torch.no_grad():
        for node in walk.nodes[:-1]:
            if node.name in readings:
                layer = modules[str(node.target)]
                total = per_image(layer, node.meta["shape"])
                wanted = max(1, rows // len(images))
                matrix = weight_matrix(layer)
                own = equations.setdefault(
                    str(node.target), NormalEquations(matrix.shape[0], matrix.shape[1], 0, bias=True)
                )
                for values in held:
                    x = values[node.all_input_nodes[0]]
                    positions = pick_positions(len(x), total, wanted, generator)
                    own.add_inputs(input_rows(layer, x, tuple(node.meta["shape"][2:]), positions).float())
            for values in held:
                walk.compute(node, values)
                walk.free(node, values)
    readers: list[Reconstruction] = []
    trials = Trials(network, images[:probed], task)
    for node in walk.nodes:
        if node.name not in readings or str(node.target) not in equations:
            continue
        reading = readings[node.name]
        path = str(node.target)
        done = equations.pop(path)
        metric = torch.stack([metrics[n] for n, r in readings.items() if r.layer == path and n in metrics]).sum(0)
        made = make_reconstructions(
            path,
            modules[path],
            reading.in_groups,
            reading.out_groups,
            done.gram / max(done.rows, 1),
            metric,
            ridge,
            movable,
        )
        _measure(trials, node, modules[path], made)
        readers += made
    return readers


def _depthwise(layer: nn.Module) -> bool:
    return getattr(layer, "groups", 1) > 1 and layer.groups == layer.in_channels


def _measure(trials: Trials, node: torch.fx.Node, layer: WeightedLayer, readers: list[Reconstruction]) -> None:
    """Set the readers' scale: the harm done when each has lost half of its groups, over the loss it predicts."""
    halves = [r.cheapest_half() for r in readers]
    predicted = sum(h.loss for h in halves)
    if predicted <= 0:
        return
    features = weight_matrix(layer).shape[1]
    weight = torch.stack([h.weights[:features] for h in halves]).transpose(1, 2).reshape(layer.weight.shape)
    shift = torch.cat([h.weights[features] for h in halves])
    harm = trials.harm(node, layer, weight.to(layer.weight.dtype), shift)
    for reader in readers:
        reader.scale = max(harm, 1e-9) / predicted


def eliminate(
    readers: list[Reconstruction], costs: CostModel, channels: ChannelMap, whole: tuple[int, int], per: str = "macs"
) -> Curve:
    """Remove one group after the other, each time the one whose loss costs least per MAC (or parameter) saved.

    Readers are fitted anew after every removal (on paper: a rank-k update). Source: backward elimination with
    the optimal-brain-surgeon update (Hassibi and Stork 1993) on groups of features.
    """
    readers = [r.copy() for r in readers]
    keep = channels.keep_all()
    removable = RemovableGroups(channels)
    of: dict[int, list[int]] = {}
    makers: dict[int, list[int]] = {}
    table = np.zeros((len(readers), channels.n_groups))
    for i, reader in enumerate(readers):
        for s in reader.features:
            of.setdefault(s, []).append(i)
        for s in {int(o) for o in reader.outputs.tolist() if o >= 0}:
            makers.setdefault(s, []).append(i)
        _fill(table, i, reader)
    order: list[int] = []
    loss = [sum(r.scale * r.loss for r in readers)]
    every = max(1, int(removable.allowed().sum()) // 2000)
    saving = costs.saving(keep, per)
    total = table.sum(0)
    while removable.allowed().any():
        if len(order) % every == 0:
            saving = costs.saving(keep, per)
        ratio = np.where(removable.allowed(), np.maximum(total, 0) / np.maximum(saving, 1e-9), np.inf)
        chosen = int(np.argmin(ratio))
        removable.remove(chosen)
        keep[chosen] = False
        order.append(chosen)
        for i in of.get(chosen, []):
            readers[i].remove(chosen)
        for i in makers.get(chosen, []):
            readers[i].silence(chosen)
        for i in {*of.get(chosen, []), *makers.get(chosen, [])}:
            total -= table[i]
            _fill(table, i, readers[i])
            total += table[i]
        loss.append(sum(r.scale * r.loss for r in readers))
    return make_curve(costs, channels, order, loss, whole)


def _fill(table: np.ndarray[tuple[int, int], np.dtype[np.float64]], i: int, reader: Reconstruction) -> None:
    table[i] = 0
    found = reader.costs()
    if found:
        table[i, list(found)] = reader.scale * np.array(list(found.values()))

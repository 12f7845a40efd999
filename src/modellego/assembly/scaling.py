"""Parameter scaling: bricks' logits or feature maps brought to a common magnitude, in both ways of the paper."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from modellego.assembly.ends import copied_network
from modellego.assembly.padding.topology import layer_of, match
from modellego.capture.layers import WeightedLayer, build_layer, describe_layer
from modellego.capture.modes import evaluating
from modellego.capture.network import Network
from modellego.capture.ops import FAMILY, op_name
from modellego.capture.walk import GraphWalk, Values
from modellego.errors import AssemblyError

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm)
_PASSING = (nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.PReLU)


@dataclass(frozen=True)
class LayerScaling:
    """What scaling did to one layer: `factors[k]` float64 [channels of brick k], in the bricks' order.

    `layer` is whose map was measured in the first brick, `scaled` the layer that took the factors: itself, or a norm.
    """

    layer: str
    scaled: str
    factors: tuple[Tensor, ...]


def logit_factors(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> Tensor:
    """Return a factor per class, float64 [C]: 1 / mean largest logit over the class's correctly predicted samples.

    `logits` float [n, C] of one brick on images of its own classes, `labels` int64 [n]. A class with no correct sample
    (or whose mean is not positive) takes the mean of the other factors, with a warning.

    Source: parameter scaling as the published software of Model LEGO does it: only the last linear layer is scaled.

    >>> logit_factors(torch.tensor([[2.0, 0.0], [0.0, 8.0], [0.0, 2.0]]), torch.tensor([0, 1, 1]), ["a", "b"])
    tensor([0.5000, 0.2000], dtype=torch.float64)
    """
    top, found = logits.double().max(1)
    right = found == labels
    counts = torch.bincount(labels[right], minlength=len(classes))
    means = torch.zeros(len(classes), dtype=torch.float64).index_add(0, labels[right], top[right])
    means = means / counts.clamp(min=1)
    known = (counts > 0) & (means > 0)
    factors = torch.ones(len(classes), dtype=torch.float64)
    if known.any():
        factors[known] = 1.0 / means[known]
        factors[~known] = factors[known].mean()
    if not known.all():
        names = ", ".join(classes[int(i)] for i in (~known).nonzero()[:5, 0])
        warnings.warn(
            f"no sample of {names} is predicted correctly: these logits are scaled by the mean factor", stacklevel=2
        )
    return factors


def scale_layers(
    networks: Sequence[Network], images: Sequence[Iterable[Tensor]], names: Sequence[str]
) -> tuple[list[Network], list[LayerScaling]]:
    """Return copies of the networks whose maps have, layer by layer, the mean magnitude of all bricks' channels.

    e_j is the sum over positions of the absolute values of channel j's map as the next layer reads it (behind norm,
    activation and pooling, up to where branches meet), the mean over the sample images of the brick's own classes;
    e_mean is the mean over all bricks' channels of the layer. The factor e_mean / e_j goes to the last norm on that
    way, to scale and shift, else to the layer's weight and bias; e_j = 0 stays. Magnitudes are those of the bricks as
    they are; the layer that makes the logits is not scaled. This changes what the bricks compute.

    Args:
        networks: of one topology; they are left as they are.
        images: for each network its input in batches, `[b, *input_shape]`.
        names: what errors call the bricks.

    Raises:
        AssemblyError: the topologies differ.

    Source: parameter scaling, Model LEGO (arXiv 2203.13453), with e_j taken behind norm and activation.
    """
    steps = match(networks, names)
    scaled = [copied_network(n) for n in networks]
    ways = [[_way(step[k]) for step in steps] for k in range(len(networks))]
    places = [i for i, way in enumerate(ways[0]) if way is not None]
    measured = [
        _measure(network, batches, {i: way[i] for i in places})  # type: ignore[misc]
        for network, batches, way in zip(networks, images, ways, strict=True)
    ]
    done: dict[tuple[str, ...], list[int]] = {}
    for i in places:
        targets = tuple(str(way[i].target.target) for way in ways)  # type: ignore[union-attr]
        done.setdefault(targets, []).append(i)
    report = []
    for targets, calls in done.items():
        sums = [torch.stack([found[i] for i in calls]).sum(0) for found in measured]
        mean = torch.cat(sums).mean()
        factors = tuple(torch.where(s > 0, mean / s.clamp(min=torch.finfo(s.dtype).tiny), 1.0) for s in sums)
        for network, path, factor in zip(scaled, targets, factors, strict=True):
            _multiply(network.graph, path, factor)
        report.append(LayerScaling(str(steps[calls[0]][0].target), targets[0], factors))
    return scaled, report


@dataclass(frozen=True)
class _Way:
    """From a layer to where the next reads: the last node, the node whose layer takes the factor, the channel axis."""

    end: fx.Node
    target: fx.Node
    axis: int


def _way(node: fx.Node) -> _Way | None:
    """Follow a layer's result through norm, activation and pooling; None for what is no layer or makes the logits."""
    if node.op != "call_module" or not isinstance(layer := layer_of(node), WeightedLayer):
        return None
    ndim = len(node.meta["shape"])
    axis = ndim - 1 if isinstance(layer, nn.Linear) else ndim - (layer.weight.ndim - 2) - 1
    end = target = node
    while len(end.users) == 1 and (after := next(iter(end.users))).op != "output":
        if after.op == "call_module" and isinstance(norm := layer_of(after), _NORMS):
            if axis != 1 and not isinstance(norm, nn.LayerNorm):
                break
            if isinstance(norm, nn.LayerNorm) and (axis != ndim - 1 or len(norm.normalized_shape) > 1):
                break
            target = after
        elif not _passes(after, ndim, axis):
            break
        end = after
    if any(user.op == "output" for user in end.users):
        return None
    return _Way(end, target, axis)


def _passes(node: fx.Node, ndim: int, axis: int) -> bool:
    """Say whether a node works on each channel alone and leaves it where it is."""
    if node.op == "call_module":
        return isinstance(layer_of(node), _PASSING)
    if node.op != "call_function" or "shape" not in node.meta or len(node.all_input_nodes) != 1:
        return False
    name = op_name(node.target) or ""
    family = FAMILY.get(name)
    space = 1 if "1d" in name else 3 if "3d" in name else 2
    return family == "elementwise" or (family == "spatial" and axis < ndim - space)


@torch.no_grad()
def _measure(network: Network, batches: Iterable[Tensor], ways: dict[int, _Way]) -> dict[int, Tensor]:
    """Return the mean magnitude of each way's channels over the images, float64 [channels]."""
    places: dict[fx.Node, list[int]] = {}
    for i, way in ways.items():
        places.setdefault(way.end, []).append(i)
    sums: dict[int, Tensor] = {}

    def add(node: fx.Node, values: Values) -> None:
        for i in places.get(node, ()):
            result = values[node]
            others = [a for a in range(result.ndim) if a != ways[i].axis]
            found = result.detach().abs().sum(others, dtype=torch.float64)
            sums[i] = sums[i] + found if i in sums else found

    walk = GraphWalk(network.graph)
    count = 0
    with evaluating(network.graph):
        for batch in batches:
            walk.run(walk.start(batch), after=add)
            count += len(batch)
    if not count:
        raise AssemblyError("scaling layers needs images of the bricks' classes: there are none")
    return {i: found / count for i, found in sums.items()}


@torch.no_grad()
def _multiply(graph: fx.GraphModule, path: str, factor: Tensor) -> None:
    """Multiply a layer's output channels; a norm without scale and shift gets them."""
    layer: Any = graph.get_submodule(path)
    if isinstance(layer, _NORMS) and layer.weight is None:
        layer = _affine_norm(layer)
        owner, _, leaf = path.rpartition(".")
        setattr(graph.get_submodule(owner), leaf, layer)
    for tensor in (layer.weight, layer.bias):
        if tensor is not None:
            tensor.mul_(factor.to(tensor).view(-1, *[1] * (tensor.ndim - 1)))


def _affine_norm(layer: Any) -> nn.Module:
    name, arguments = describe_layer(layer)
    arguments |= {"elementwise_affine": True, "bias": True} if isinstance(layer, nn.LayerNorm) else {"affine": True}
    buffers = dict(layer.named_buffers(recurse=False))
    dtype = next((b.dtype for b in buffers.values() if b.is_floating_point()), torch.float32)
    new: Any = build_layer(name, arguments, dtype)
    nn.init.ones_(new.weight)
    nn.init.zeros_(new.bias)
    for key, buffer in buffers.items():
        new.register_buffer(key, buffer)
    return new.train(layer.training)  # type: ignore[no-any-return]

"""Layers with weights, padded: block-diagonal convolutions and linear layers, concatenated groups and norms."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from modellego.assembly.padding.placement import Placement, positions_of, side_by_side, whole_groups
from modellego.assembly.padding.topology import DROPOUTS, Step, layer_of
from modellego.assembly.padding.walk import Laid, PadWalk, all_equal
from modellego.capture.layers import build_layer, describe_layer

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BUFFERS = ("running_mean", "running_var")


def pad_layer(walk: PadWalk, step: Step) -> Laid:
    """Add one layer that holds the layers of all bricks; refuse what would mix their channels."""
    layer = layer_of(step[0])
    source = walk.tensor(step[0].args[0])  # type: ignore[arg-type]
    if isinstance(layer, DROPOUTS):
        gentlest = min((layer_of(node) for node in step), key=lambda dropout: float(dropout.p))  # type: ignore[arg-type]
        return _call(
            walk,
            step,
            source,
            walk.place(str(step[0].target), lambda: build_layer(*describe_layer(gentlest))),
            source.placement,
        )
    if isinstance(layer, (*_CONVS, nn.Linear)):
        return _weighted(walk, step, source)
    if isinstance(layer, nn.LayerNorm):
        return _layer_norm(walk, step, source)
    if isinstance(layer, nn.GroupNorm):
        return _group_norm(walk, step, source)
    return _per_channel(walk, step, source)


def _call(walk: PadWalk, step: Step, source: Laid, path: str, placement: Placement | None) -> Laid:
    shape = walk.padded_shape(step, placement.axis if placement else None)
    return Laid(walk.emit(path, (source.node,), shape=shape, like=step[0]), placement)


def _channel_axis(walk: PadWalk, step: Step, source: Laid, axis: int) -> None:
    if source.placement is not None and source.placement.axis != axis:
        walk.refuse(
            step, "it mixes the bricks' channels, which lie along another axis than the one its weights belong to"
        )


def _called_before(walk: PadWalk, step: Step, source: Laid) -> Laid | None:
    """Call a layer again that was called before: on the same channels in the same order."""
    known = walk.layers.get(tuple(id(layer_of(n)) for n in step))
    if known is None:
        return None
    path, inputs, outputs = known
    if inputs is None or source.placement is None:
        if inputs is not source.placement:
            walk.refuse(step, "one layer is called on the image and on channels")
        return _call(walk, step, source, path, outputs)
    if len(inputs) != len(source.placement) or inputs.axis != source.placement.axis:
        walk.refuse(step, "one layer is called on different channels")
    return _call(walk, step, walk.arrange(source, inputs), path, outputs)


def _enter(walk: PadWalk, step: Step, source: Laid, placement: Placement | None, build: Any) -> Laid:
    path = walk.place(str(step[0].target), build)
    walk.layers[tuple(id(layer_of(n)) for n in step)] = (path, source.placement, placement)
    return _call(walk, step, source, path, placement)


def _weighted(walk: PadWalk, step: Step, source: Laid) -> Laid:
    """Add a block-diagonal convolution or linear layer, or the groups of all bricks in one grouped convolution."""
    layers: list[Any] = [layer_of(n) for n in step]
    linear = isinstance(layers[0], nn.Linear)
    ndim = len(source.node.meta["shape"])
    axis = ndim - 1 if linear else ndim - (layers[0].weight.ndim - 2) - 1
    _channel_axis(walk, step, source, axis)
    grouped = not linear and any(layer.groups > 1 for layer in layers)
    if grouped:
        source = walk.spread(source, axis)
    again = _called_before(walk, step, source)
    if again is not None:
        return again
    if grouped:
        return _grouped(walk, step, source, layers, axis)
    rows = [int(layer.weight.shape[0]) for layer in layers]
    columns = source.placement
    name, arguments = describe_layer(layers[0])
    inputs = len(columns) if columns is not None else int(layers[0].weight.shape[1])
    sizes = ("in_features", "out_features") if linear else ("in_channels", "out_channels")
    arguments |= {sizes[0]: inputs, sizes[1]: sum(rows), "bias": any(x.bias is not None for x in layers)}

    def build() -> nn.Module:
        weight = layers[0].weight.new_zeros((sum(rows), inputs, *layers[0].weight.shape[2:]))
        start = 0
        for k, layer in enumerate(layers):
            block = layer.weight.detach()
            if columns is None:
                weight[start : start + rows[k]] = block
            else:
                where = torch.from_numpy((columns.brick == k).nonzero()[0])
                place = torch.from_numpy(columns.place).to(where.device)[where]
                weight[start : start + rows[k], where] = block[:, place]
            start += rows[k]
        return _made(name, arguments, layers, {"weight": weight, "bias": _biases(layers)})

    return _enter(walk, step, source, side_by_side(axis, rows), build)


def _grouped(walk: PadWalk, step: Step, source: Laid, layers: Sequence[Any], axis: int) -> Laid:
    ins = {layer.in_channels // layer.groups for layer in layers}
    outs = {layer.out_channels // layer.groups for layer in layers}
    if len(ins) > 1 or len(outs) > 1:
        walk.refuse(step, f"unequal groups, of {_and(ins)} channels in and {_and(outs)} out")
    p, q = ins.pop(), outs.pop()
    assert source.placement is not None
    placement = source.placement
    groups = whole_groups(placement, p)
    if groups is None:
        placement = side_by_side(axis, [layer.in_channels for layer in layers])
        source = walk.arrange(source, placement)
        groups = whole_groups(placement, p)
    assert groups is not None
    brick, group = groups
    out = Placement(axis, brick.repeat(q), (group[:, None] * q + torch.arange(q).numpy()).reshape(-1))
    rows = positions_of(side_by_side(axis, [layer.out_channels for layer in layers]), out.brick, out.place)
    name, arguments = describe_layer(layers[0])
    arguments |= {"in_channels": len(placement), "out_channels": len(out), "groups": len(brick),
                  "bias": any(layer.bias is not None for layer in layers)}  # fmt: skip

    def build() -> nn.Module:
        order = torch.from_numpy(rows)
        weight = torch.cat([layer.weight.detach() for layer in layers])[order]
        bias = _biases(layers)
        return _made(name, arguments, layers, {"weight": weight, "bias": None if bias is None else bias[order]})

    return _enter(walk, step, source, out, build)


def _per_channel(walk: PadWalk, step: Step, source: Laid) -> Laid:
    """Add a norm or PReLU with one weight per channel: weights concatenated in the input's order."""
    layers: list[Any] = [layer_of(n) for n in step]
    source = walk.spread(source, 1)
    placement = source.placement
    assert placement is not None
    _channel_axis(walk, step, source, 1)
    again = _called_before(walk, step, source)
    if again is not None:
        return again
    sizes = [int(n.args[0].meta["shape"][1]) for n in step]  # type: ignore[union-attr]
    name, arguments = describe_layer(layers[0])
    arguments["num_parameters" if isinstance(layers[0], nn.PReLU) else "num_features"] = len(placement)
    order = positions_of(side_by_side(1, sizes), placement.brick, placement.place)

    def gathered(key: str) -> torch.Tensor | None:
        vectors: list[Any] = [getattr(layer, key, None) for layer in layers]
        if any(v is None for v in vectors):
            return None
        parts = [v.detach().expand(size) for v, size in zip(vectors, sizes, strict=True)]
        return torch.cat(parts)[torch.from_numpy(order)]

    def build() -> nn.Module:
        return _made(name, arguments, layers, {k: gathered(k) for k in ("weight", "bias", *_BUFFERS)})

    return _enter(walk, step, source, placement, build)


def _group_norm(walk: PadWalk, step: Step, source: Laid) -> Laid:
    """Add one group norm with the groups of all bricks, where groups are of one size."""
    layers: list[Any] = [layer_of(n) for n in step]
    sizes = {layer.num_channels // layer.num_groups for layer in layers}
    if len(sizes) > 1:
        walk.refuse(step, f"a group norm over both: unequal groups, of {_and(sizes)} channels")
    source = walk.spread(source, 1)
    assert source.placement is not None
    _channel_axis(walk, step, source, 1)
    if whole_groups(source.placement, next(iter(sizes))) is None:
        source = walk.arrange(source, side_by_side(1, [layer.num_channels for layer in layers]))
    again = _called_before(walk, step, source)
    if again is not None:
        return again
    placement = source.placement
    assert placement is not None
    name, arguments = describe_layer(layers[0])
    arguments |= {"num_channels": len(placement), "num_groups": sum(layer.num_groups for layer in layers)}
    order = positions_of(side_by_side(1, [x.num_channels for x in layers]), placement.brick, placement.place)

    def build() -> nn.Module:
        tensors = {}
        for key in ("weight", "bias"):
            vectors = [getattr(layer, key) for layer in layers]
            affine = all(v is not None for v in vectors)
            tensors[key] = torch.cat([v.detach() for v in vectors])[torch.from_numpy(order)] if affine else None
        return _made(name, arguments, layers, tensors)

    return _enter(walk, step, source, placement, build)


def _layer_norm(walk: PadWalk, step: Step, source: Laid) -> Laid:
    """Add a layer norm over positions only, the same in all bricks; over channels it would mix the bricks."""
    layers: list[Any] = [layer_of(n) for n in step]
    first = len(source.node.meta["shape"]) - len(layers[0].normalized_shape)
    if source.placement is not None and source.placement.axis >= first:
        walk.refuse(step, "a layer norm over the channels of both")
    for key in ("weight", "bias"):
        held = [getattr(layer, key) for layer in layers]
        unlike = any((v is None) != (held[0] is None) for v in held)
        if unlike or (held[0] is not None and not all_equal(held)):
            walk.refuse(step, "a layer norm over positions, with other weights in each")
    again = _called_before(walk, step, source)
    if again is not None:
        return again
    name, arguments = describe_layer(layers[0])

    def build() -> nn.Module:
        tensors = {k: None if (v := getattr(layers[0], k)) is None else v.detach().clone() for k in ("weight", "bias")}
        return _made(name, arguments, layers, tensors)

    return _enter(walk, step, source, source.placement, build)


def _biases(layers: Sequence[Any]) -> torch.Tensor | None:
    if all(layer.bias is None for layer in layers):
        return None
    weights = [layer.weight for layer in layers]
    return torch.cat(
        [w.new_zeros(len(w)) if x.bias is None else x.bias.detach() for x, w in zip(layers, weights, strict=True)]
    )


def _made(
    name: str, arguments: dict[str, Any], layers: Sequence[nn.Module], tensors: dict[str, torch.Tensor | None]
) -> nn.Module:
    """Build the padded layer around its tensors; what is counted, not learnt, comes from the first brick."""
    with torch.device("meta"):
        layer = build_layer(name, arguments)
    for key, _ in list(layer.named_parameters(recurse=False)):
        value = tensors[key]
        assert value is not None
        wanted = any(p.requires_grad for x in layers if isinstance(p := getattr(x, key, None), nn.Parameter))
        layer.register_parameter(key, nn.Parameter(value, wanted))
    for key, _ in list(layer.named_buffers(recurse=False)):
        value = tensors.get(key)
        layer.register_buffer(key, getattr(layers[0], key).detach().clone() if value is None else value)
    return layer.train(layers[0].training)


def _and(sizes: set[int]) -> str:
    return " and ".join(map(str, sorted(sizes)))

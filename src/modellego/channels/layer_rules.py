"""The rule of each layer with weights: which channels it reads, which it makes, and which merely pass through."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import fx, nn

from modellego.channels.arrays import expand_axes, varying
from modellego.channels.channel_map import Ids
from modellego.channels.context import RuleContext


def conv_rule(context: RuleContext, node: fx.Node) -> Ids:
    """A convolution reads its input channels and makes new ones; a depthwise one passes them through."""
    layer: Any = context.layer(node)
    source = node.args[0]
    assert isinstance(source, fx.Node)
    ids, shape = context.ids_of(source), source.meta["shape"]
    space = layer.weight.ndim - 2
    axis = len(shape) - space - 1
    if layer.in_channels == 1 and layer.out_channels == 1 and varying(ids) and axis not in varying(ids):
        return _conv_over_channels(context, node, ids)
    ids = context.collapse(ids, tuple(a for a in range(ids.ndim) if a != axis))
    inputs = expand_axes(ids, shape, (axis,)).reshape(-1)
    if layer.groups > 1 and layer.groups == layer.in_channels:
        outputs = np.repeat(inputs, layer.out_channels // layer.in_channels)
        _remember(context, node, inputs, outputs)
    else:
        outputs = _made(context, node, inputs, layer.out_channels)
        if layer.groups > 1:
            if (inputs < 0).any():  # nothing of it goes, so its groups stay even
                context.pin(node, np.concatenate([inputs, outputs]), "a grouped convolution that reads the image")
            else:
                context.groups.append((inputs.reshape(layer.groups, -1), outputs.reshape(layer.groups, -1)))
        context.readers.append((node, inputs, outputs))
    result_shape = [1] * len(shape)
    result_shape[axis] = layer.out_channels
    return outputs.reshape(result_shape)


def _conv_over_channels(context: RuleContext, node: fx.Node, ids: Ids) -> Ids:
    """One kernel slides along the channels themselves (ECA): they pass, and the kernel sees those that are left."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if source.meta["shape"] != node.meta["shape"]:
        context.pin(node, ids, "a convolution along the channels that changes their number")
        return np.full((1,) * ids.ndim, -1, dtype=np.int64)
    context.approximate[node.name] = "a convolution along the channels: it slides over the channels that are left"
    return ids


def linear_rule(context: RuleContext, node: fx.Node) -> Ids:
    """A linear layer reads the last axis; where channels lie on another axis (token mixing) they pass through."""
    layer: Any = context.layer(node)
    source = node.args[0]
    assert isinstance(source, fx.Node)
    ids, shape = context.ids_of(source), source.meta["shape"]
    last = ids.ndim - 1
    if ids.shape[last] == 1 and varying(ids) and shape[last] > 1:
        return ids
    ids = context.collapse(ids, tuple(range(last)))
    inputs = expand_axes(ids, shape, (last,)).reshape(-1)
    outputs = _made(context, node, inputs, layer.out_features)
    context.readers.append((node, inputs, outputs))
    return outputs.reshape((1,) * last + (-1,))


def _made(context: RuleContext, node: fx.Node, inputs: Ids, count: int) -> Ids:
    """Return the ids of a layer's output channels: new at its first call, the same at every further call."""
    path = str(node.target)
    if path in context.layer_out:
        outputs = context.layer_out[path]
    elif count == 1:  # can never go; without an id it does not tie what it is multiplied with (a spatial gate)
        outputs = np.full(1, -1, dtype=np.int64)
    else:
        outputs = context.ties.fresh(count)
    _remember(context, node, inputs, outputs)
    return outputs


def _remember(context: RuleContext, node: fx.Node, inputs: Ids, outputs: Ids) -> None:
    """Hold a layer's ids along its weight's axes; a second call of the layer ties its channels to the first's."""
    path = str(node.target)
    if path in context.layer_in:
        for known, new in ((context.layer_in[path], inputs), (context.layer_out[path], outputs)):
            context.ties.tie(known, new)
            for a, b in ((known, new), (new, known)):
                context.pin(node, a[b < 0], "a layer called twice, once on what cannot be cut")
    else:
        context.layer_in[path], context.layer_out[path] = inputs, outputs


def channel_rule(context: RuleContext, node: fx.Node) -> Ids:
    """Batch norm, instance norm, PReLU: one weight per channel on axis 1; channels pass through."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    ids, shape = context.ids_of(source), source.meta["shape"]
    layer: Any = context.layer(node)
    if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
        return ids
    collapsed = context.collapse(ids, tuple(a for a in range(ids.ndim) if a != 1))
    _remember(context, node, (flat := expand_axes(collapsed, shape, (1,)).reshape(-1)), flat)
    return collapsed


def group_norm_rule(context: RuleContext, node: fx.Node) -> Ids:
    """Group norm: whole groups go, so that the others stay exact; with one group, the norm is over what is left."""
    ids = channel_rule(context, node)
    layer: Any = context.layer(node)
    if varying(ids) == (1,):
        if layer.num_groups == 1:
            context.approximate[node.name] = "a norm over all channels: taken over the channels that are left"
        else:
            context.ties.tie_along(ids.reshape(layer.num_groups, -1), (1,))
    return ids


def layer_norm_rule(context: RuleContext, node: fx.Node) -> Ids:
    """Layer norm over channels has no exact cut: it is taken over the channels that are left."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    ids, shape = context.ids_of(source), source.meta["shape"]
    layer: Any = context.layer(node)
    normed = range(ids.ndim - len(layer.normalized_shape), ids.ndim)
    inside = [a for a in varying(ids) if a in normed]
    if len(inside) > 1:
        free = max(inside, key=lambda a: ids.shape[a])
        ids = context.collapse(ids, tuple(a for a in inside if a != free))
    if inside:
        context.approximate[node.name] = "a norm over channels: taken over the channels that are left"
        ids = context.collapse(ids, tuple(a for a in range(ids.ndim) if a not in normed))
        flat = expand_axes(ids, shape, normed).reshape(-1)
        _remember(context, node, flat, flat)
    return ids


def passing_rule(context: RuleContext, node: fx.Node) -> Ids:
    """Dropout changes no channel."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return context.ids_of(source)


LAYER_RULES: dict[type[nn.Module], Callable[[RuleContext, fx.Node], Any]] = {
    nn.Conv1d: conv_rule,
    nn.Conv2d: conv_rule,
    nn.Conv3d: conv_rule,
    nn.Linear: linear_rule,
    nn.BatchNorm1d: channel_rule,
    nn.BatchNorm2d: channel_rule,
    nn.BatchNorm3d: channel_rule,
    nn.InstanceNorm2d: channel_rule,
    nn.PReLU: channel_rule,
    nn.GroupNorm: group_norm_rule,
    nn.LayerNorm: layer_norm_rule,
    nn.Dropout: passing_rule,
    nn.Dropout2d: passing_rule,
    nn.AlphaDropout: passing_rule,
}

"""Slice the layers and constants of a network by keep masks along their weights' axes."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from modellego.capture.layers import describe_layer
from modellego.errors import CutError

Mask = NDArray[np.bool_]


class TensorSlicer:
    """Slices tensors and remembers each result, so that tied parameters stay tied."""

    def __init__(self) -> None:
        self._done: dict[tuple[int, bytes], torch.Tensor] = {}

    def __call__(self, tensor: torch.Tensor, masks: dict[int, Mask]) -> torch.Tensor:
        """Return a copy of the tensor with the positions kept along each axis; a parameter stays a parameter."""
        key = (id(tensor), b"".join(bytes([a]) + np.packbits(m).tobytes() for a, m in sorted(masks.items())))
        if key not in self._done:
            value = tensor.detach()
            for axis, mask in masks.items():
                if not mask.all():
                    value = value.index_select(axis, torch.from_numpy(np.flatnonzero(mask)).to(value.device))
            if value.data_ptr() == tensor.data_ptr():  # nothing was sliced: still the source's memory
                value = value.clone()
            value = value.contiguous()
            self._done[key] = nn.Parameter(value, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value
        return self._done[key]


def slice_layer(path: str, layer: nn.Module, inputs: Mask, outputs: Mask, slicer: TensorSlicer) -> nn.Module:
    """Return the layer with only the kept input and output channels, `inputs` bool [P] and `outputs` bool [Q].

    Raises:
        CutError: a grouped layer would keep unequal groups.
    """
    _, arguments = describe_layer(layer)
    masks: dict[str, dict[int, Mask]]
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        groups, columns = _kept_groups(path, inputs, outputs, layer.groups)
        arguments |= {"in_channels": int(inputs.sum()), "out_channels": int(outputs.sum()), "groups": groups}
        masks = {"weight": {0: outputs, 1: columns}, "bias": {0: outputs}}
    elif isinstance(layer, nn.Linear):
        arguments |= {"in_features": int(inputs.sum()), "out_features": int(outputs.sum())}
        masks = {"weight": {0: outputs, 1: inputs}, "bias": {0: outputs}}
    elif isinstance(layer, nn.LayerNorm):
        box = inputs.reshape(layer.normalized_shape)
        axes = {a: _along(box, a) for a in range(box.ndim)}
        arguments["normalized_shape"] = [int(m.sum()) for m in axes.values()]
        masks = {"weight": axes, "bias": axes}
    elif isinstance(layer, nn.GroupNorm):
        rows = inputs.reshape(layer.num_groups, -1).any(1)
        kept = layer.num_groups if layer.num_groups == 1 else int(rows.sum())
        arguments |= {"num_channels": int(inputs.sum()), "num_groups": kept}
        masks = {"weight": {0: inputs}, "bias": {0: inputs}}
    else:
        size = "num_parameters" if isinstance(layer, nn.PReLU) else "num_features"
        arguments[size] = int(inputs.sum())
        masks = {k: {0: inputs} for k in ("weight", "bias", "running_mean", "running_var")}
    return _rebuild(layer, arguments, masks, slicer)


def _rebuild(
    layer: nn.Module,
    arguments: dict[str, Any],
    masks: dict[str, dict[int, Mask]],
    slicer: TensorSlicer,
) -> nn.Module:
    small = type(layer).__new__(type(layer))  # its constructor would draw weights, which takes most of a cut's time
    nn.Module.__init__(small)
    state = {k: v for k, v in vars(layer).items() if k not in vars(small)}
    for key, value in arguments.items():
        if key != "bias":
            state[key] = tuple(value) if isinstance(value, list) else value
    vars(small).update(state)
    for key in layer._parameters:
        small.register_parameter(key, None)
    for key in layer._buffers:
        small.register_buffer(key, None, persistent=key not in layer._non_persistent_buffers_set)
    for key, parameter in layer.named_parameters(recurse=False):
        small.register_parameter(key, slicer(parameter, masks.get(key, {})))  # type: ignore[arg-type]
    for key, buffer in layer.named_buffers(recurse=False):
        small._buffers[key] = slicer(buffer, masks.get(key, {}))
    return small.train(layer.training)


def _along(box: Mask, axis: int) -> Mask:
    others = tuple(a for a in range(box.ndim) if a != axis)
    return np.asarray(box.any(axis=others))


def _kept_groups(path: str, inputs: Mask, outputs: Mask, groups: int) -> tuple[int, Mask]:
    """Return how many groups are left, and which input channels of a group."""
    if groups == 1:
        return 1, inputs
    rows_in, rows_out = inputs.reshape(groups, -1), outputs.reshape(groups, -1)
    live = rows_in.any(1)
    columns = rows_in[int(np.argmax(live))]
    counts = rows_out.sum(1)[live]
    even = bool((rows_in[live] == columns).all()) and np.unique(counts).size == 1
    if not even or not np.array_equal(live, rows_out.any(1)):
        raise CutError(
            f"the {groups} groups of {path} would keep unequal numbers of channels: "
            "cut by channel groups (modellego.channels.analyse)"
        )
    return int(live.sum()), np.asarray(columns)

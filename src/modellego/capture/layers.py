"""The closed list of `nn` layers a network may hold, and how each is described, rebuilt and counted.

A layer is described by its type name and the keyword arguments of its constructor; that is what a brick's file
holds, what the cut rebuilds with other sizes, and all that loading may build.
"""

from typing import Any

import torch
from torch import nn

from modellego.errors import FormatError

_CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")
# the layers whose output is linear in weights that mix channels
WeightedLayer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats")

# type name -> (class, the constructor's keyword arguments, read back from the attributes of the same names)
LAYERS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "Conv1d": (nn.Conv1d, _CONV),
    "Conv2d": (nn.Conv2d, _CONV),
    "Conv3d": (nn.Conv3d, _CONV),
    "Linear": (nn.Linear, ("in_features", "out_features", "bias")),
    "BatchNorm1d": (nn.BatchNorm1d, _NORM),
    "BatchNorm2d": (nn.BatchNorm2d, _NORM),
    "BatchNorm3d": (nn.BatchNorm3d, _NORM),
    "InstanceNorm2d": (nn.InstanceNorm2d, _NORM),
    "LayerNorm": (nn.LayerNorm, ("normalized_shape", "eps", "elementwise_affine", "bias")),
    "GroupNorm": (nn.GroupNorm, ("num_groups", "num_channels", "eps", "affine")),
    "PReLU": (nn.PReLU, ("num_parameters",)),
    "Dropout": (nn.Dropout, ("p",)),
    "Dropout2d": (nn.Dropout2d, ("p",)),
    "AlphaDropout": (nn.AlphaDropout, ("p",)),
}


def describe_layer(layer: nn.Module) -> tuple[str, dict[str, Any]]:
    """Return a layer's type name and the JSON-able keyword arguments that rebuild it.

    >>> describe_layer(nn.Linear(3, 2))
    ('Linear', {'in_features': 3, 'out_features': 2, 'bias': True})
    """
    name = type(layer).__name__
    if name not in LAYERS or type(layer) is not LAYERS[name][0]:
        raise FormatError(f"layers of type {name} are not on the closed list: {', '.join(LAYERS)}")
    arguments: dict[str, Any] = {}
    for key in LAYERS[name][1]:
        value = getattr(layer, key)
        if key == "bias":
            value = value is not None
        arguments[key] = list(value) if isinstance(value, tuple) else value
    return name, arguments


def build_layer(name: str, arguments: dict[str, Any], dtype: torch.dtype = torch.float32) -> nn.Module:
    """Build a layer of the closed list from its description, its parameters uninitialised.

    >>> build_layer("Linear", {"in_features": 3, "out_features": 2, "bias": False})
    Linear(in_features=3, out_features=2, bias=False)
    """
    if name not in LAYERS:
        raise FormatError(f"layers of type {name} are not on the closed list: {', '.join(LAYERS)}")
    cls, keys = LAYERS[name]
    unknown = sorted(set(arguments) - set(keys))
    if unknown:
        raise FormatError(f"{name} does not take {', '.join(unknown)}; it takes {', '.join(keys)}")
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    with torch.device("meta"):
        layer = cls(**plain)
    return layer.to(dtype).to_empty(device="cpu") if list(layer.state_dict()) else cls(**plain)

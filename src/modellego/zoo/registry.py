"""The register of network definitions: name -> builder."""

import difflib
from collections.abc import Callable

from torch import nn

from modellego.errors import LegoError

Size = tuple[int, int]
Builder = Callable[[int, int, Size, float], nn.Module]
BUILDERS: dict[str, Builder] = {}


def register(name: str) -> Callable[[Builder], Builder]:
    """Register a builder `(num_classes, channels, (height, width), width) -> nn.Module` under a name."""

    def enter(builder: Builder) -> Builder:
        BUILDERS[name] = builder
        return builder

    return enter


def names() -> tuple[str, ...]:
    """Names of all definitions, sorted.

    >>> names()[:2]
    ('googlenet', 'lenet5')
    """
    return tuple(sorted(BUILDERS))


def build(
    name: str,
    num_classes: int,
    channels: int = 3,
    input_size: int | Size = 32,
    width: float = 1.0,
) -> nn.Module:
    """Build an untrained network that maps images `[B, channels, h, w]` to logits `[B, num_classes]`.

    `input_size` is the side of a square image or (height, width); `width` multiplies every inner
    channel count.
    Raises `LegoError` for an unknown name and for sizes the network cannot take.

    >>> import torch
    >>> build("lenet5", 10, channels=1, input_size=28)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    if name not in BUILDERS:
        near = difflib.get_close_matches(name, BUILDERS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names())}"
        raise LegoError(f"the zoo has no network {name!r}; {hint}")
    size = (input_size, input_size) if isinstance(input_size, int) else (input_size[0], input_size[1])
    if num_classes < 1 or channels < 1 or not width > 0 or min(size) < 8:
        raise LegoError(
            f"{name} needs at least 1 class, 1 channel, 8x8 pixels and a positive width, "
            f"not {num_classes} classes, {channels} channels, {size[0]}x{size[1]} pixels, width {width}"
        )
    return BUILDERS[name](num_classes, channels, size, width)


def widen(count: int, width: float) -> int:
    """Multiply a channel count by the width multiplier; at least one channel stays.

    >>> widen(64, 0.25), widen(6, 0.01)
    (16, 1)
    """
    return max(1, round(count * width))


def start_weights(model: nn.Module) -> None:
    """Give convolutions He's normal weights (He et al. 2015) and linear layers small ones, in place."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)

"""Which weights of padded bricks must stay zero: those that would lead from one brick's channels to another's."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from modellego.brick import Assembled, Brick
from modellego.capture.layers import WeightedLayer


def cross_masks(model: Brick | Assembled) -> dict[str, Tensor]:
    """Return a 0/1 mask, by parameter name, that broadcasts against each weight of a padded brick with zero kernels.

    A brick of several sources in one network is padded; a kernel `[q, p]` of it that is zero throughout leads across
    bricks (or was cut to nothing) and stays zero. Other bricks have no masks.
    """
    masks: dict[str, Tensor] = {}
    for path, part in model.named_modules():
        if not isinstance(part, Brick) or len(part.info.sources) < 2:
            continue
        for name, layer in part.network.named_modules():
            if isinstance(layer, WeightedLayer):
                weight = layer.weight.detach()
                live = weight.abs().flatten(2).sum(2) if weight.dim() > 2 else weight
                mask = (live != 0).to(layer.weight.dtype)
                if not bool(mask.all()):
                    full = ".".join(p for p in (path, "network", name, "weight") if p)
                    masks[full] = mask.reshape(*mask.shape, *(1,) * (layer.weight.dim() - 2))
    return masks


@contextmanager
def held_at_zero(model: nn.Module, masks: Mapping[str, Tensor]) -> Iterator[None]:
    """Take masked weights' gradients out while the context lasts: a zero weight then stays zero, decay and all.

    `masks` are those of `cross_masks`, by the model's own parameter names.

    >>> import torch
    >>> line = nn.Linear(2, 1)
    >>> with held_at_zero(line, {"weight": torch.tensor([[1.0, 0.0]])}):
    ...     line(torch.ones(1, 2)).sum().backward()
    >>> line.weight.grad
    tensor([[1., 0.]])
    """
    handles = []
    for name, mask in masks.items():
        weight = model.get_parameter(name)
        own = mask.to(weight.device)
        handles.append(weight.register_hook(lambda gradient, own=own: gradient * own))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

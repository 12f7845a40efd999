"""What one image costs in a brick or an assembled model."""

from torch import nn

from modellego.brick.model import Assembled, Brick
from modellego.capture.cost import Cost, module_cost, network_macs
from modellego.capture.network import Network


def cost(model: Brick | Assembled | Network) -> Cost:
    """Return what one image costs in a brick, an assembled model (the sum of its bricks) or a bare network.

    A brick whose features a joint reads runs without its own head, whose parameters are there all the same.

    >>> from modellego.capture import capture
    >>> cost(capture(nn.Linear(3, 4), (3,))).parameters
    16
    """
    return module_cost(model.graph if isinstance(model, Network) else model, *_macs(model))


def _macs(model: nn.Module | Network) -> tuple[int, tuple[str, ...]]:
    if isinstance(model, Network):
        return network_macs(model)
    if isinstance(model, Brick):
        return network_macs(model.captured())
    assert isinstance(model, Assembled)
    parts = []
    for brick, read, _ in model.parts:
        body = brick.body if isinstance(brick, Brick) and read == "features" else None
        parts.append(_macs(brick) if body is None else network_macs(Network(body, brick.info.input_shape or ())))
    joint = sum(m.weight.numel() for m in model.joint.modules() if isinstance(m, nn.Linear))
    return sum(m for m, _ in parts) + joint, tuple(dict.fromkeys(k for _, missed in parts for k in missed))

"""Train and eval mode: set for a while, and put back part by part."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Set modules and all their parts to eval mode, and each part back to its own mode afterwards.

    >>> net = nn.Sequential(nn.Dropout(), nn.Linear(2, 2).eval())
    >>> with evaluating(net):
    ...     print(net[0].training)
    False
    >>> net[0].training, net[1].training
    (True, False)
    """
    modes = {part: part.training for module in modules for part in module.modules()}
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode

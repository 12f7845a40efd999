"""Wrappers around a model that change how it runs, not what it computes: taken off before anything looks at it."""

import torch
from torch import nn

from modellego.errors import CaptureError

_PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside `DataParallel`, `DistributedDataParallel` and `torch.compile`, in whatever order.

    Raises:
        CaptureError: a TorchScript module, which has no Python code left to be captured.

    >>> unwrapped(nn.DataParallel(nn.Linear(2, 3)))
    Linear(in_features=2, out_features=3, bias=True)
    """
    while True:
        inner = model.module if isinstance(model, _PARALLEL) else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            break
        model = inner
    if isinstance(model, torch.jit.ScriptModule):
        raise CaptureError(
            "a TorchScript module cannot be captured: build the network in Python, and give it this one's state_dict()"
        )
    return model

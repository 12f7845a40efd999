"""How long a forward pass takes: the median over repeated runs, after a warm-up."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from modellego.capture.modes import evaluating


@dataclass(frozen=True)
class Latency:
    """Wall-clock seconds of one forward pass of a batch: `median`, `fastest`, over `runs` runs."""

    median: float
    fastest: float
    runs: int
    batch: int


@torch.no_grad()
def latency(model: nn.Module, images: torch.Tensor, runs: int = 10, warm_up: int = 2) -> Latency:
    """Time a model in eval mode on a batch `[B, ...]`, leaving its mode as it was.

    >>> latency(nn.Linear(3, 2), torch.zeros(4, 3), runs=3).batch
    4
    """
    times = []
    with evaluating(model):
        for i in range(warm_up + runs):
            start = time.perf_counter()
            _wait_for(model(images))
            if i >= warm_up:
                times.append(time.perf_counter() - start)
    return Latency(statistics.median(times), min(times), runs, len(images))


def _wait_for(found: object) -> None:
    """Wait until a device that works on its own has come to a result."""
    if isinstance(found, torch.Tensor) and found.device.type in ("cuda", "mps"):
        torch.accelerator.synchronize(found.device)

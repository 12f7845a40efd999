"""What an exported file does beside the brick: the largest difference, seconds for one image, accuracy."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from modellego.data import ImageSet
from modellego.exporting.served import Served, as_tuple

Runner = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Measured:
    """One file, or the brick: bytes, seconds for one image (batch 1, one thread), accuracy (None without data)."""

    path: str
    bytes: int
    latency: float
    accuracy: float | None


@torch.no_grad()
def difference(served: Served, runner: Runner, images: Tensor) -> float:
    """Return the largest difference of a logit over the largest logit, on batches of unlike sizes."""
    worst = 0.0
    for batch in images.split([1, *[7] * ((len(images) - 1) // 7), (len(images) - 1) % 7]):  # type: ignore[no-untyped-call]
        if len(batch):
            ours, theirs = as_tuple(served(batch))[0], runner(batch)[0]
            worst = max(worst, float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-30)))
    return worst


@torch.no_grad()
def seconds_of(runner: Runner, image: Tensor, runs: int = 20) -> float:
    """Return the median wall time of one image on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = []
        for _ in range(runs + 3):
            start = time.perf_counter()
            runner(image)
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times[3:])


@torch.no_grad()
def accuracy_of(runner: Runner, images: ImageSet | None, give: Callable[[ImageSet], Tensor]) -> float | None:
    """Return the share of images that are right, None without images."""
    if images is None or not len(images):
        return None
    right = 0
    for start in range(0, len(images), 100):
        part = images.subset(slice(start, start + 100))
        right += int((runner(give(part))[0].argmax(1).numpy() == part.labels).sum())
    return right / len(images)

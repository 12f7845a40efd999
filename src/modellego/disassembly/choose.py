"""Choose what a brick keeps: channel groups by the paper's thresholds or by a budget, and images to fit on."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.brick import Brick
from modellego.capture.network import Network
from modellego.channels import ChannelMap, KeepMask
from modellego.contribution.flow import Flow
from modellego.contribution.relevance import (
    Thresholds,
    group_scores,
    near_ties,
    plan_flow,
    relevance,
    relevant_groups,
)
from modellego.contribution.stream import ClassSums, class_sums
from modellego.cut import cut, rescue
from modellego.data import ImageSet
from modellego.data.chunks import NetworkInput, chunks, own_part
from modellego.data.draw import shuffled_classes, together
from modellego.data.feed import Inputs
from modellego.data.store import Store
from modellego.disassembly.job import Job
from modellego.distributed import agreed, gathered, processes
from modellego.evaluation import latency, restricted, score
from modellego.locate import Budget, Curve, Request, rank
from modellego.progress import Progress, silent
from modellego.refit import RefitOptions, refit

HELD = 64_000_000  # numbers of network input that are held in memory
LATENCY_BATCH = 8
MEASURED = 100  # images measured on at once
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Choice:
    """Which channel groups are kept, bool [n_groups], and the groups that were rescued so that no tensor ends empty.

    `near_ties` is how many were decided by less than rounding.
    """

    keep: KeepMask
    rescued: tuple[int, ...] = ()
    near_ties: int = 0


@dataclass
class Found:
    """What the classes so far find relevant, bool [n_groups], how much at most, float64 [n_groups], and how many.

    `close` and `needed`, bool [n_groups], are what `near_ties` says of them.
    """

    keep: KeepMask
    scores: NDArray[np.float64]
    close: KeepMask
    needed: KeepMask
    classes: int = 0


@dataclass(frozen=True)
class DrawnImages:
    """Images of a task drawn at random, to fit on and to measure on; what the network reads is made when asked for.

    `fitted` are images for repairs and rankings, `held` others, on which nothing is fitted; labels are numbers of the
    network's logits.
    """

    whole: Brick
    fitted: ImageSet
    held: ImageSet

    @cached_property
    def inputs(self) -> NetworkInput:
        """The images to fit on as network input."""
        return network_input(self.whole, self.fitted)

    @property
    def labels(self) -> Tensor:
        """Their labels, int64 `[N]`."""
        return torch.from_numpy(self.fitted.labels)

    @cached_property
    def held_inputs(self) -> NetworkInput:
        """The images to measure on as network input."""
        return network_input(self.whole, self.held)

    @property
    def held_labels(self) -> Tensor:
        """Their labels, int64 `[M]`."""
        return torch.from_numpy(self.held.labels)


def network_input(whole: Brick, images: Store) -> NetworkInput:
    """Return images as the network reads them: one tensor where they are few and small, else decoded as they come."""
    streamed = Inputs(images, whole.frame, whole.prepare)
    large = len(streamed) * math.prod(whole.frame.shape) > HELD
    return streamed if large or processes() > 1 else streamed.tensor()  # of several, each decodes its share


def draw_calibration(whole: Brick, train: ImageSet, task: Sequence[int], per_class: int, seed: int) -> DrawnImages:
    """Draw images as `draw_images` does, for a network to read; nothing is decoded yet."""
    return DrawnImages(whole, *draw_images(train, task, per_class, seed))


def draw_images(
    train: ImageSet, task: Sequence[int], per_class: int, seed: int, held: int = 50
) -> tuple[ImageSet, ImageSet]:
    """Draw up to `per_class` images of each class at random to fit on, and up to `held` others to measure on.

    A class with too few images for both gives a fifth of them to measuring.
    """
    fit: list[Indices] = []
    measure: list[Indices] = []
    for order in shuffled_classes(train.labels, task, seed):
        count = min(per_class, len(order) - min(held, len(order) // 5))
        fit.append(order[:count])
        measure.append(order[count : count + held])
    return train.subset(together(fit)), train.subset(together(measure))


def by_thresholds(
    network: Network,
    channels: ChannelMap,
    samples: Sequence[tuple[int, Iterable[Tensor]]],
    thresholds: Thresholds,
    progress: Progress = silent,
    found: Found | None = None,
    each: Callable[[Found], None] | None = None,
) -> Choice:
    """Keep what any class of the task finds relevant (parameter linking, arXiv 2203.13453); no tensor may end empty.

    `samples` holds each class's number and its sample images as batches of network input. The classes that `found`
    counts were gone through before, and are left out; `each` is called after each of the others.
    """
    flow = plan_flow(network, channels)
    left = samples[0 if found is None else found.classes :]
    with progress("contribution", "classes") as update:

        def followed() -> Iterator[tuple[int, ClassSums]]:
            for done, sums in enumerate(class_sums(network, left, channel_map=channels), 1):
                yield sums
                update(done, len(left))

        return by_sums(flow, channels, followed(), thresholds, found, each)


def by_sums(
    flow: Flow,
    channels: ChannelMap,
    sums: Iterable[tuple[int, ClassSums]],
    thresholds: Thresholds,
    found: Found | None = None,
    each: Callable[[Found], None] | None = None,
) -> Choice:
    """Keep what any class finds relevant, from each class's number and its summed contributions, after `found`."""
    if found is None:
        none = np.zeros(channels.n_groups, dtype=np.bool_)
        found = Found(none, np.zeros(channels.n_groups), none.copy(), none.copy())
    for label, own in sums:
        of_class = relevance(flow, channels, own, label, thresholds)
        found.keep |= relevant_groups(channels, of_class)
        found.scores = np.maximum(found.scores, group_scores(channels, of_class))
        near, beyond = near_ties(flow, channels, of_class, thresholds)
        found.close |= near
        found.needed |= beyond
        found.classes += 1
        if each is not None:
            each(found)
    kept, rescued = rescue(channels, found.keep, found.scores)
    return Choice(kept, tuple(rescued), int((found.close & ~found.needed).sum()))


def rank_groups(
    job: Job,
    criterion: str,
    inputs: NetworkInput,
    labels: Tensor | None,
    thresholds: Thresholds,
    seed: int = 0,
    per: str | None = None,
) -> Curve:
    """Rank all channel groups once by a criterion: every budget is a point of the curve that comes out."""
    request = Request(job.network, job.channels, inputs, labels, job.task, thresholds, seed=seed)
    return rank(criterion, request, (job.cost.macs, job.cost.parameters), per)


def by_budget(job: Job, budget: Budget, curve: Curve, drawn: DrawnImages, options: RefitOptions | None) -> Choice:
    """Keep what a budget allows, along one ranking; latency and accuracy are measured, on held-out images."""
    measures: dict[str, Callable[[KeepMask], float]] = {}
    if budget.latency is not None:
        few = Inputs(drawn.fitted.subset(slice(LATENCY_BATCH)), job.whole.frame, job.whole.prepare)
        measures["latency"] = _slowness(job, few.tensor())
    if budget.max_drop is not None:
        measures["drop"] = _drop(job, drawn, options)
    keep = budget.apply(curve, **measures)
    return Choice(keep, near_ties=curve.near_ties(keep))


def _slowness(job: Job, batch: Tensor) -> Callable[[KeepMask], float]:
    """Return a function that cuts and measures latency on a batch, as a share of the source's."""
    base = latency(job.network.graph, batch).median

    def share(keep: KeepMask) -> float:
        return agreed(latency(cut(job.plan(keep)).graph, batch).median / base)

    return share


def _drop(job: Job, drawn: DrawnImages, options: RefitOptions | None) -> Callable[[KeepMask], float]:
    """Return a function that cuts, refits, and says how far accuracy on held-out images fell."""
    labels = drawn.held.select(job.task).labels
    _, before = restricted(_logits(job.network, drawn.held_inputs), job.task, labels)

    def fall(keep: KeepMask) -> float:
        plan = job.plan(keep)
        small = cut(plan)
        refit(plan, small, drawn.inputs, options=options)
        return agreed(before - score(_logits(small, drawn.held_inputs), labels).accuracy)

    return fall


@torch.no_grad()
def _logits(network: Network, images: NetworkInput) -> Tensor:
    """Return the logits of all images, worked out a few at a time."""
    return gathered([network.graph(block).cpu() for block in chunks(own_part(images)[0], MEASURED)])

"""Choose what a brick keeps: sample images, then channel groups by the paper's thresholds or by a budget."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.brick import Brick
from modellego.capture.network import Network
from modellego.channels import ChannelMap, KeepMask
from modellego.contribution.flow import Flow
from modellego.contribution.relevance import Thresholds, group_scores, plan_flow, relevance, relevant_groups
from modellego.contribution.samples import PER_CLASS, select_samples, true_class_probabilities
from modellego.contribution.stream import ClassSums, class_sums
from modellego.cut import cut, rescue
from modellego.data import ImageSet
from modellego.errors import DataError
from modellego.evaluation import cost, image_batches, latency
from modellego.locate import Budget, Curve, Request, rank
from modellego.progress import Progress, silent
from modellego.refit import RefitOptions, refit

LATENCY_BATCH = 8
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Which training images of a class serve as samples: the `per_class` most confident, or a `share` of them.

    Raises:
        DataError: a share or a number that none is.
    """

    per_class: int = PER_CLASS
    share: float | None = None

    def __post_init__(self) -> None:
        if self.share is not None and not 0 < self.share <= 1:
            raise DataError(f"the share of sample images is {self.share:g}: it must be above 0 and at most 1")
        if self.per_class < 1:
            raise DataError(f"{self.per_class} sample images a class were asked for: it must be at least 1")


@dataclass(frozen=True)
class Choice:
    """Which channel groups are kept, bool [n_groups], and the sets that were rescued so that no tensor ends empty."""

    keep: KeepMask
    rescued: tuple[int, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """Images of a task that repairs and budgets are measured on, as network input, and their labels.

    `inputs` `[N, *input_shape]`, `labels` int64 `[N]` numbers of the network's logits; `held_inputs`, `held_labels`
    likewise, other images: nothing is fitted on them.
    """

    inputs: Tensor
    labels: Tensor
    held_inputs: Tensor
    held_labels: Tensor


def sample_images(
    whole: Brick, train: ImageSet, task: Sequence[int], samples: Samples, progress: Progress = silent
) -> dict[int, Indices]:
    """Choose each class's sample images, those of the largest true-class softmax: class -> indices into `train`."""
    (candidates,) = np.nonzero(np.isin(train.labels, task))
    part = train.subset(candidates)
    with progress("samples", "images") as update:

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            done = 0
            for images, labels in image_batches(whole, part):
                yield whole.prepare(images), labels
                done += len(labels)
                update(done, len(part))

        found = true_class_probabilities(whole.network.eval(), batches())
    chosen = select_samples(
        found, part.labels, task, per_class=samples.per_class, share=samples.share, names=whole.classes
    )
    return {label: candidates[indices] for label, indices in chosen.items()}


def network_input(whole: Brick, images: ImageSet) -> Tensor:
    """Return all images as the network reads them, `[N, *input_shape]`."""
    return torch.cat([whole.prepare(batch) for batch, _ in image_batches(whole, images)])


def draw_calibration(whole: Brick, train: ImageSet, task: Sequence[int], per_class: int, seed: int) -> Calibration:
    """Read the images of `draw_images` as the network's input."""
    parts = draw_images(train, task, per_class, seed)
    inputs = [network_input(whole, p) if len(p) else torch.empty(0, *(whole.info.input_shape or ())) for p in parts]
    labels = [torch.from_numpy(p.labels) for p in parts]
    return Calibration(inputs[0], labels[0], inputs[1], labels[1])


def draw_images(
    train: ImageSet, task: Sequence[int], per_class: int, seed: int, held: int = 50
) -> tuple[ImageSet, ImageSet]:
    """Draw up to `per_class` images of each class at random to fit on, and up to `held` others to measure on.

    A class with too few images for both gives a fifth of them to measuring.
    """
    random = np.random.default_rng(seed)
    fit: list[Indices] = []
    measure: list[Indices] = []
    for label in task:
        order = random.permutation(train.of_class(label))
        count = min(per_class, len(order) - min(held, len(order) // 5))
        fit.append(order[:count])
        measure.append(order[count : count + held])
    return train.subset(np.sort(np.concatenate(fit))), train.subset(np.sort(np.concatenate(measure)))


def by_thresholds(
    network: Network,
    channels: ChannelMap,
    samples: Sequence[tuple[int, Sequence[Tensor]]],
    thresholds: Thresholds,
    progress: Progress = silent,
) -> Choice:
    """Keep what any class of the task finds relevant (PAPER section 1); no tensor may end empty.

    `samples` holds each class's number and its sample images as batches of network input.
    """
    flow = plan_flow(network, channels)
    with progress("contribution", "classes") as update:

        def followed() -> Iterator[tuple[int, ClassSums]]:
            for done, found in enumerate(class_sums(network, samples, channel_map=channels), 1):
                yield found
                update(done, len(samples))

        return by_sums(flow, channels, followed(), thresholds)


def by_sums(flow: Flow, channels: ChannelMap, sums: Iterable[tuple[int, ClassSums]], thresholds: Thresholds) -> Choice:
    """Keep what any class finds relevant, from each class's number and its summed contributions."""
    keep, scores = np.zeros(channels.n_groups, dtype=np.bool_), np.zeros(channels.n_groups)
    for label, own in sums:
        found = relevance(flow, channels, own, label, thresholds)
        keep |= relevant_groups(channels, found)
        scores = np.maximum(scores, group_scores(channels, found))
    kept, rescued = rescue(channels, keep, scores)
    return Choice(kept, tuple(rescued))


def rank_groups(
    whole: Brick,
    network: Network,
    channels: ChannelMap,
    task: Sequence[int],
    criterion: str,
    inputs: Tensor,
    labels: Tensor | None,
    thresholds: Thresholds,
    seed: int = 0,
    per: str | None = None,
) -> Curve:
    """Rank all channel groups once by a criterion: every budget is a point of the curve that comes out."""
    spent = cost(whole)
    request = Request(network, channels, inputs, labels, task, thresholds, seed=seed)
    return rank(criterion, request, (spent.macs, spent.parameters), per)


def by_budget(
    network: Network,
    channels: ChannelMap,
    task: Sequence[int],
    budget: Budget,
    curve: Curve,
    calibration: Calibration,
    options: RefitOptions | None,
) -> Choice:
    """Keep what a budget allows, along one ranking; latency and accuracy are measured, on held-out images."""
    batch = calibration.inputs[:LATENCY_BATCH]
    base = latency(network.graph, batch).median if budget.latency is not None else 1.0

    def slowness(keep: KeepMask) -> float:
        return latency(cut(network, channels, keep, task).graph, batch).median / base

    keep = budget.apply(curve, latency=slowness, drop=_drop(network, channels, task, calibration, options))
    return Choice(keep)


@torch.no_grad()
def _drop(
    network: Network,
    channels: ChannelMap,
    task: Sequence[int],
    calibration: Calibration,
    options: RefitOptions | None,
) -> Callable[[KeepMask], float]:
    """Return a function that cuts, refits, and says how far accuracy on held-out images fell."""
    wanted = torch.tensor(list(task))
    target = (calibration.held_labels[:, None] == wanted[None]).int().argmax(1)

    def accuracy(logits: Tensor) -> float:
        return float((logits.argmax(1) == target).double().mean())

    def fall(keep: KeepMask) -> float:
        small = cut(network, channels, keep, task)
        refit(network, small, channels, keep, calibration.inputs, logits=task, options=options)
        with torch.no_grad():
            before = accuracy(network.graph(calibration.held_inputs)[:, wanted])
            return before - accuracy(small.graph(calibration.held_inputs))

    return fall

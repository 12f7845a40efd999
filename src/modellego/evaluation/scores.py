"""Scores from logits: plain and class-balanced accuracy, confusion, and on-task against off-task images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """How a classifier did on labelled images.

    `accuracy` and `balanced_accuracy` (the mean over the classes that have images) are fractions; `per_class`
    float64 [C] is NaN for a class without images; `confusion` int64 [C, C] has a row a true class.
    """

    images: int
    accuracy: float
    balanced_accuracy: float
    per_class: NDArray[np.float64]
    confusion: NDArray[np.int64]


def score(logits: Tensor, labels: NDArray[np.int64]) -> Scores:
    """Score logits `[N, C]` against labels int64 `[N]` in 0..C-1.

    >>> import torch
    >>> score(torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 1.0]]), np.array([0, 1, 1])).balanced_accuracy
    0.75
    """
    predicted = logits.argmax(1).cpu().numpy()
    classes = logits.shape[1]
    pairs = np.bincount(labels * classes + predicted, minlength=classes**2)
    confusion = pairs.reshape(classes, classes).astype(np.int64)
    counts = np.bincount(labels, minlength=classes)
    with np.errstate(invalid="ignore"):
        per_class = np.diag(confusion) / counts
    return Scores(len(labels), float(np.mean(predicted == labels)), float(np.nanmean(per_class)), per_class, confusion)


def restricted(logits: Tensor, task: Sequence[int], labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return (base, base restricted): a source's accuracy with all its logits, and with the task's only.

    `logits` `[N, all classes]`, `labels` int64 `[N]` numbers within the task; fractions.

    >>> import torch
    >>> restricted(torch.tensor([[1.0, 0.0, 5.0]]), [0, 1], np.array([0]))
    (0.0, 1.0)
    """
    whole, inside = right_answers(logits, task, labels)
    return float(whole.mean()), float(inside.mean())


def right_answers(
    logits: Tensor, task: Sequence[int], labels: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which images a source answers right, bool `[N]`: with all its logits, and with the task's only.

    `logits` `[N, all classes]`, `labels` int64 `[N]` numbers within the task.

    >>> import torch
    >>> right_answers(torch.tensor([[1.0, 0.0, 5.0]]), [0, 1], np.array([0]))
    (array([False]), array([ True]))
    """
    whole = np.asarray(task)[labels] == logits.argmax(1).cpu().numpy()
    inside = logits[:, list(task)].argmax(1).cpu().numpy() == labels
    return whole, inside


def largest_probability(logits: Tensor) -> NDArray[np.float64]:
    """Return each row's largest softmax probability, float64 `[N]`."""
    values: NDArray[np.float64] = logits.double().softmax(1).max(1).values.cpu().numpy()
    return values


def auroc(on_task: NDArray[np.float64], off_task: NDArray[np.float64]) -> float | None:
    """Return how well a confidence tells on-task from off-task images: the area under the ROC curve, in 0..1.

    The share of pairs, one image of each side, in which the on-task image is the surer; ties count half. None where
    either side has no images; 0.5 is chance. Source: Hanley and McNeil 1982, the Mann-Whitney form of the area.

    >>> auroc(np.array([0.9, 0.8]), np.array([0.1, 0.85]))
    0.75
    """
    if not len(on_task) or not len(off_task):
        return None
    ordered = np.sort(off_task)
    below, up_to = (np.searchsorted(ordered, on_task, side).sum() for side in ("left", "right"))
    return float((below + up_to) / (2 * len(on_task) * len(off_task)))

"""Which images are trained on and which are held out, to see what training does to images it has not seen."""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modellego.data.draw import shuffled_classes, together
from modellego.errors import DataError

Outcome = tuple[Tensor, Tensor]
MARGIN = 2.0  # standard errors


def split_held_out(labels: NDArray[np.int64], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices to train on and those held out: of each class the share, drawn at random, ascending.

    A class of one image keeps it for training. Raises `DataError` where nothing is left to train on.

    >>> train, held = split_held_out(np.array([0, 0, 1, 1]), 0.5, 0)
    >>> len(train), len(held)
    (2, 2)
    """
    orders = shuffled_classes(labels, np.unique(labels), seed)
    out = together(mine[: min(len(mine) - 1, round(share * len(mine)))] for mine in orders)
    train = np.setdiff1d(np.arange(len(labels)), out)
    if len(train) < 2:
        raise DataError("there are fewer than 2 images to train on: give more, or hold fewer out")
    return train.astype(np.int64), out.astype(np.int64)


def helps(before: Outcome, after: Outcome) -> bool:
    """Return whether training surely helped on the same held-out examples.

    `before` and `after` hold each example's loss, float `[n]`, and whether it was answered right, bool `[n]`. It helped
    where as many are right as before and the mean loss fell by more than two standard errors of the paired differences,
    or where more are right, by more than two standard errors: one measure alone is noise where images are few, and a
    loss may fall while answers get worse.

    >>> import torch
    >>> wrong, right = torch.zeros(4, dtype=torch.bool), torch.ones(4, dtype=torch.bool)
    >>> helps((torch.full((4,), 2.0), wrong), (torch.full((4,), 1.0), right))
    True
    >>> helps((torch.zeros(4), right), (torch.tensor([0.0, 0.0, 0.0, -0.1]), right))
    False
    """
    gain, more = (before[0] - after[0]).double(), (after[1].double() - before[1].double())
    if not bool(gain.isfinite().all()):
        return False
    return _sure(more) or (float(more.mean()) >= 0 and _sure(gain))


def _sure(differences: Tensor) -> bool:
    """Whether a mean lies more than the margin above 0; one example alone is never sure."""
    if len(differences) < 2:
        return False
    error = float(differences.std()) / math.sqrt(len(differences))
    return float(differences.mean()) > MARGIN * error

"""Turning images away: the threshold of a statistic, chosen from on-task calibration images alone."""

import numpy as np
from torch import Tensor

from modellego.errors import AssemblyError


def choose_threshold(confidence: Tensor, keep: float = 0.95, labels: Tensor | None = None) -> float:
    """Return the largest threshold at which at least the share `keep` of on-task images is kept (>= threshold).

    `confidence` float [n]: larger is surer. With `labels` int64 [n] every class counts alike. Where the calibration
    images are the source's own training images, give the confidences on altered views of them: on the unaltered ones a
    model is surer than on any new image, and the threshold turns too many away.

    Raises:
        AssemblyError: there is no number to choose from, or `keep` is no share.

    >>> import torch
    >>> choose_threshold(torch.tensor([1.0, 2.0, 3.0, 4.0]), keep=0.75)
    2.0
    """
    if not 0 < keep <= 1:
        raise AssemblyError(f"the share of images to keep must be above 0 and at most 1, not {keep}")
    values = confidence.detach().double().flatten().numpy()
    if not len(values) or not np.isfinite(values).all():
        raise AssemblyError("a threshold needs calibration images with finite confidences: there are none")
    weights = np.ones(len(values))
    if labels is not None:
        numbers = labels.numpy()
        weights = 1.0 / np.bincount(numbers)[numbers]
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) - weights[order]  # the weight that is turned away at each value
    allowed = np.flatnonzero(below <= (1 - keep + 1e-9) * weights.sum())
    return float(values[order][allowed[-1]])


def kept_share(confidence: Tensor, threshold: float) -> float:
    """Return the share of images that a threshold keeps.

    >>> import torch
    >>> kept_share(torch.tensor([1.0, 3.0]), 2.0)
    0.5
    """
    return float((confidence >= threshold).double().mean())

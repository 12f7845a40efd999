"""Samples: for each class the images the source model is most confident of, by the true class's softmax."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modellego.errors import DataError

PER_CLASS = 50
LEAST_BY_SHARE = 5


@torch.no_grad()
def true_class_probabilities(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> NDArray[np.float64]:
    """Score images, batch by batch, by the softmax probability of their true class.

    `batches` holds pairs of network input `[B, ...]` and labels (int64 `[B]`, numbers of logits). Returns
    float64 `[N]` in the order of the images.

    >>> true_class_probabilities(nn.Identity(), [(torch.zeros(1, 4), torch.tensor([2]))])
    array([0.25])
    """
    scores = []
    for images, labels in batches:
        logits: Tensor = network(images).cpu().double()
        scores.append(logits.softmax(1).gather(1, labels[:, None])[:, 0])
    return np.concatenate([score.numpy() for score in scores]) if scores else np.empty(0)


def select_samples(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: Sequence[int],
    *,
    per_class: int = PER_CLASS,
    share: float | None = None,
    names: Sequence[str] | None = None,
) -> dict[int, NDArray[np.int64]]:
    """Choose, for each of `classes`, the images with the largest probability of their true class.

    `per_class` images, or the `share` of the class's images (at least 5); all of them where a class has
    fewer. Returns the numbers of the images, the most confident first, equal ones in their order. Raises `DataError`
    for a class without images and for a number or share out of range. Source:
    implementation details of Model LEGO (arXiv 2203.13453): the top 1 % of the training images of each class.

    >>> select_samples(np.array([0.1, 0.9, 0.5, 0.2]), np.array([0, 0, 0, 1]), [0, 1], per_class=2)
    {0: array([1, 2]), 1: array([3])}
    """
    if share is not None and not 0 < share <= 1:
        raise DataError(f"the share of samples is {share:g}; it must be above 0 and at most 1")
    if share is None and per_class < 1:
        raise DataError(f"{per_class} samples per class were asked for; it must be at least 1")
    chosen = {}
    for label in classes:
        (members,) = np.nonzero(labels == label)
        if len(members) == 0:
            name = names[label] if names is not None else str(label)
            raise DataError(f"class {name} has no images to choose samples from; add some or leave the class out")
        count = per_class if share is None else max(LEAST_BY_SHARE, round(share * len(members)))
        order = np.argsort(-probabilities[members], kind="stable")
        chosen[int(label)] = members[order[:count]]
    return chosen

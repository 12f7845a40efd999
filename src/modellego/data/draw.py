"""Images drawn at random, class by class: the one place where a seed decides which."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def shuffled_classes(labels: NDArray[np.int64], classes: Iterable[int], seed: int) -> list[NDArray[np.int64]]:
    """Return, for each of `classes`, the indices of its images in random order, int64 `[images of the class]`.

    `labels` are int64 `[n]`. The same seed and the same classes give the same order.

    >>> [len(order) for order in shuffled_classes(np.array([0, 1, 1, 0, 1]), [1, 0], seed=0)]
    [3, 2]
    """
    random = np.random.default_rng(seed)
    return [random.permutation(np.flatnonzero(labels == label)) for label in classes]


def together(parts: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return indices of several classes as one array, ascending: the order in which images lie is kept.

    >>> together([np.array([3, 1]), np.array([2])])
    array([1, 2, 3])
    """
    found = [part.astype(np.int64) for part in parts]
    return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)

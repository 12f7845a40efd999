"""How alike samples of one class are, and of different classes, as numbers: cosine similarity."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modellego.errors import LegoError


@dataclass(frozen=True)
class Similarity:
    """Mean cosine similarity of pairs of samples within a class and between classes, and class by class.

    `matrix` is float64 `[classes, classes]`: the mean over pairs of distinct samples, one of each class; nan where
    there is no such pair. `within` is the mean of its diagonal, `between` of the rest.
    """

    within: float
    between: float
    matrix: NDArray[np.float64]


def class_similarity(values: NDArray[np.floating], labels: NDArray[np.integer]) -> Similarity:
    """Compare samples by their contributions, float `[samples, channels]`, with labels int `[samples]`.

    Classes weigh the same, whatever the number of their samples. A sample of zeros is like no other (0). Raises
    `LegoError` where the two do not go together.

    >>> s = class_similarity(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), np.array([0, 0, 1]))
    >>> s.within, s.between
    (1.0, 0.0)
    """
    if values.ndim != 2 or labels.shape != values.shape[:1] or not len(labels):
        shapes = f"{list(values.shape)} and {list(labels.shape)}"
        raise LegoError(f"values [samples, channels] and labels [samples] are needed; they have shapes {shapes}")
    length = np.linalg.norm(values, axis=1, keepdims=True)
    unit = np.divide(values, length, out=np.zeros(values.shape), where=length > 0)
    classes, member = np.unique(labels, return_inverse=True)
    one_hot = np.eye(len(classes))[member]
    counts = one_hot.sum(axis=0)
    means = one_hot.T @ unit
    total = means @ means.T
    pairs = np.outer(counts, counts)
    # a sample is no pair with itself
    total -= np.diag(one_hot.T @ (unit**2).sum(axis=1))
    pairs -= np.diag(counts)
    matrix = np.divide(total, pairs, out=np.full(total.shape, np.nan), where=pairs > 0)
    matrix = np.clip(matrix, -1, 1)
    apart = ~np.eye(len(classes), dtype=bool)
    return Similarity(_mean(np.diag(matrix)), _mean(matrix[apart]), matrix)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")

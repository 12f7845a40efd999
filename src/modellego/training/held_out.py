"""Which images are trained on and which are held out, to see what training does to images it has not seen."""

import numpy as np
from numpy.typing import NDArray

from modellego.errors import DataError


def split_held_out(labels: NDArray[np.int64], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices to train on and those held out: of each class the share, drawn at random, ascending.

    A class of one image keeps it for training. Raises `DataError` where nothing is left to train on.

    >>> train, held = split_held_out(np.array([0, 0, 1, 1]), 0.5, 0)
    >>> len(train), len(held)
    (2, 2)
    """
    random = np.random.default_rng(seed)
    held: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        mine = random.permutation(np.flatnonzero(labels == label))
        count = min(len(mine) - 1, round(share * len(mine)))
        held.append(mine[:count])
    out = np.sort(np.concatenate(held)) if held else np.zeros(0, np.int64)
    train = np.setdiff1d(np.arange(len(labels)), out)
    if len(train) < 2:
        raise DataError("there are fewer than 2 images to train on: give more, or hold fewer out")
    return train.astype(np.int64), out.astype(np.int64)

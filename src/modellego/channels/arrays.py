"""Arrays of channel ids: expanding, compressing, and seeing along which axes they vary."""

from collections.abc import Iterable, Sequence

import numpy as np

from modellego.channels.channel_map import Ids


def no_channels(ndim: int) -> Ids:
    """Return ids that say "no channel" everywhere.

    >>> no_channels(2)
    array([[-1]])
    """
    return np.full((1,) * ndim, -1, dtype=np.int64)


def varying(ids: Ids) -> tuple[int, ...]:
    """Return the axes along which compressed ids vary.

    >>> varying(np.arange(3).reshape(1, 3, 1))
    (1,)
    """
    return tuple(i for i, size in enumerate(ids.shape) if size > 1)


def compress(ids: Ids) -> Ids:
    """Collapse to size 1 every axis along which the ids do not vary.

    >>> compress(np.array([[7, 8], [7, 8]])).shape
    (1, 2)
    """
    for axis, size in enumerate(ids.shape):
        if size > 1:
            first = np.take(ids, [0], axis)
            if np.array_equal(np.broadcast_to(first, ids.shape), ids):
                ids = first
    return ids


def expand_axes(ids: Ids, shape: Sequence[int], axes: Iterable[int]) -> Ids:
    """Give the named axes their full size again, and leave the others compressed."""
    target = list(ids.shape)
    for axis in axes:
        target[axis] = shape[axis]
    return np.broadcast_to(ids, target)


def collapse(ids: Ids, axes: Iterable[int]) -> Ids:
    """Keep one position along the named axes."""
    for axis in axes:
        ids = np.take(ids, [0], axis)
    return ids


def align(ids: Ids, ndim: int) -> Ids:
    """Put size-1 axes in front, as broadcasting does."""
    return ids.reshape((1,) * (ndim - ids.ndim) + ids.shape)

"""Ties between channel ids, closed into groups: what must stay or go together."""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from modellego.channels.arrays import compress, varying
from modellego.channels.channel_map import Ids


@dataclass
class Ties:
    """Collects fresh ids, ties and pins while the graph is walked; arrays only, never one object per channel."""

    n_ids: int = 0
    left: list[Ids] = field(default_factory=list)
    right: list[Ids] = field(default_factory=list)
    pins: list[Ids] = field(default_factory=list)

    def fresh(self, count: int) -> Ids:
        """Return new ids, int64 [count]."""
        ids = np.arange(self.n_ids, self.n_ids + count, dtype=np.int64)
        self.n_ids += count
        return ids

    def tie(self, a: Ids, b: Ids) -> None:
        """Tie ids position by position (the arrays broadcast); "no channel" ties with nothing."""
        a, b = np.broadcast_arrays(a, b)
        both = (a >= 0) & (b >= 0) & (a != b)
        if both.any():
            self.left.append(a[both])
            self.right.append(b[both])

    def tie_along(self, ids: Ids, axes: tuple[int, ...]) -> Ids:
        """Tie all positions along the axes to the first, and return the ids with those axes collapsed."""
        for axis in axes:
            if ids.shape[axis] > 1:
                first = np.take(ids, [0], axis)
                self.tie(first, ids)
                if (ids < 0).any():  # what lies beside no channel cannot go
                    self.pin(ids)
                ids = first
        return ids

    def pin(self, ids: Ids) -> None:
        """Keep these ids, and all that is tied to them, whole."""
        self.pins.append(np.unique(ids[ids >= 0]))

    def close(self) -> Ids:
        """Return the set of each id, int64 [n_ids], by connected components."""
        if not self.left:
            return np.arange(self.n_ids, dtype=np.int64)
        left, right = np.concatenate(self.left), np.concatenate(self.right)
        graph = coo_array((np.ones(left.size, dtype=np.int8), (left, right)), shape=(self.n_ids, self.n_ids))
        labels: Ids = connected_components(graph, directed=False)[1].astype(np.int64)
        return labels


def look_up(labels: Ids, ids: Ids) -> Ids:
    """Return the set of each id, -1 staying -1."""
    if labels.size == 0:
        return ids
    return np.where(ids >= 0, labels[np.maximum(ids, 0)], -1)


def make_rectangular(ties: Ties, tables: list[Ids], groups: list[tuple[Ids, Ids]]) -> Ids:
    """Tie until every table of ids can be cut along one axis only, and every grouped layer stays even; return groups.

    A tensor whose ids vary along several axes (heads x features, groups x channels) stays a full box only where all
    but one axis are cut alike. The axis left free is the one along which groups already differ, else the longest.
    `groups` holds, for each grouped layer, its input and output ids as [groups, channels per group].
    """
    while True:
        labels = ties.close()
        before = len(ties.left)
        for table in tables:
            if _one_free_axis(ties, table, look_up(labels, table)):
                labels = ties.close()  # a table that shares ids with it must leave the same ids free
        for inputs, outputs in groups:
            _even_groups(ties, inputs, outputs, look_up(labels, inputs), look_up(labels, outputs))
        if len(ties.left) == before:
            return labels


def _one_free_axis(ties: Ties, ids: Ids, sets: Ids) -> bool:
    """Tie what varies along other axes than the longest, and say whether anything did."""
    axes = varying(compress(sets))
    if len(axes) <= 1:
        return False
    free = max(axes, key=lambda axis: ids.shape[axis])
    ties.tie_along(ids, tuple(a for a in range(ids.ndim) if a != free))
    return True


def _even_groups(ties: Ties, inputs: Ids, outputs: Ids, in_groups: Ids, out_groups: Ids) -> None:
    """Either whole convolution groups go, or the same channels of each: whichever leaves more channel groups."""
    rows_in, rows_out = _uniform(in_groups, 1), _uniform(out_groups, 1)
    whole = inputs.shape[0] >= max(inputs.shape[1], outputs.shape[1]) or (rows_in and rows_out and inputs.shape[0] > 1)
    if _uniform(in_groups, 0) and _uniform(out_groups, 0):
        return  # the same channels of every group already
    if whole or (rows_in != rows_out):
        if rows_in and rows_out and bool((in_groups[:, 0] == out_groups[:, 0]).all()):
            return
        ties.tie(ties.tie_along(inputs, (1,)), ties.tie_along(outputs, (1,)))
    else:
        ties.tie_along(inputs, (0,))
        ties.tie_along(outputs, (0,))


def _uniform(sets: Ids, axis: int) -> bool:
    return bool((sets == np.take(sets, [0], axis)).all())

"""Which brick's channel lies where along the channel axis of a padded tensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modellego.channels.channel_map import Ids


@dataclass(frozen=True, eq=False)
class Placement:
    """The channels of several bricks along `axis` of one tensor.

    Position i holds channel `place[i]` of brick `brick[i]` (int64 [n] each); every channel of every brick is there
    once, in any order.
    """

    axis: int
    brick: Ids
    place: Ids

    def __len__(self) -> int:
        return len(self.brick)

    def moved(self, axis: int) -> "Placement":
        """Return the same channels along another axis."""
        return Placement(axis, self.brick, self.place)

    def same_order(self, other: "Placement") -> bool:
        """Say whether both hold the same channels in the same order."""
        return np.array_equal(self.brick, other.brick) and np.array_equal(self.place, other.place)


def side_by_side(axis: int, sizes: Sequence[int]) -> Placement:
    """Return the placement of whole bricks one after the other.

    >>> side_by_side(1, [2, 1]).brick, side_by_side(1, [2, 1]).place
    (array([0, 0, 1]), array([0, 1, 0]))
    """
    brick = np.repeat(np.arange(len(sizes)), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    return Placement(axis, brick.astype(np.int64), place.astype(np.int64))


def positions_of(placement: Placement, brick: Ids, place: Ids) -> Ids:
    """Return where the wanted channels lie, int64 of the shape of `brick`; all of them must be there.

    >>> positions_of(side_by_side(1, [2, 2]), np.array([1, 0]), np.array([1, 0]))
    array([3, 0])
    """
    span = int(max(placement.place.max(initial=0), place.max(initial=0))) + 1
    codes = placement.brick * span + placement.place
    order = np.argsort(codes, kind="stable")
    found = order[np.searchsorted(codes[order], brick * span + place)]
    return found.astype(np.int64)


def interleaved(placements: Sequence[Placement], sizes: Sequence[Sequence[int]]) -> Placement:
    """Return the placement of a concatenation along the channel axis: A1 B1 A2 B2.

    `sizes[t][k]` is the number of channels of brick k in tensor t.

    >>> a = side_by_side(1, [1, 1])
    >>> interleaved([a, a], [[1, 1], [1, 1]]).place
    array([0, 0, 1, 1])
    """
    before = np.zeros(len(sizes[0]), dtype=np.int64)
    places = []
    for placement, counts in zip(placements, sizes, strict=True):
        places.append(placement.place + before[placement.brick])
        before = before + np.asarray(counts, dtype=np.int64)
    return Placement(placements[0].axis, np.concatenate([x.brick for x in placements]), np.concatenate(places))


def whole_groups(placement: Placement, size: int) -> tuple[Ids, Ids] | None:
    """Return (brick, group) of each run of `size` positions, or None where a run is not one whole group in order.

    >>> whole_groups(side_by_side(1, [4, 2]), 2)
    (array([0, 0, 1]), array([0, 1, 0]))
    """
    if len(placement) % size:
        return None
    brick, place = placement.brick.reshape(-1, size), placement.place.reshape(-1, size)
    whole = (brick == brick[:, :1]).all() and (place == place[:, :1] + np.arange(size)).all()
    if not whole or (place[:, 0] % size).any():
        return None
    return brick[:, 0], place[:, 0] // size


def read_placement(codes: Ids, expected: Sequence[Ids], axis: int) -> Placement | None:
    """Recognise the bricks' own results in the padded result, along one axis; None where they are not all there.

    `codes` int64 [padded shape] says what each position of the padded result holds, `expected[k]` int64 what each
    position of brick k's own result holds, in the same numbers.
    """
    rows = np.ascontiguousarray(np.moveaxis(codes, axis, 0)).reshape(codes.shape[axis], -1)
    known: dict[bytes, list[tuple[int, int]]] = {}
    count = 0
    for k, array in enumerate(expected):
        own = np.ascontiguousarray(np.moveaxis(array, axis, 0)).reshape(array.shape[axis], -1)
        if own.shape[1] != rows.shape[1]:
            return None
        count += len(own)
        for j in range(len(own) - 1, -1, -1):
            known.setdefault(own[j].tobytes(), []).append((k, j))
    if count != len(rows):
        return None
    found = []
    for row in rows:
        same = known.get(row.tobytes())
        if not same:
            return None
        found.append(same.pop())
    table = np.array(found, dtype=np.int64).reshape(-1, 2)
    return Placement(axis, table[:, 0].copy(), table[:, 1].copy())

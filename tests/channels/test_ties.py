"""Ties closed into groups: against a union-find, and what the closed groups must fulfil."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from modellego.channels.arrays import compress, varying
from modellego.channels.ties import Ties, look_up, make_rectangular

Ids = NDArray[np.int64]


class UnionFind:
    """The textbook's, over integers."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def find(self, i: int) -> int:
        while self.parent[i] != i:
            i = self.parent[i]
        return i

    def union(self, i: int, j: int) -> None:
        self.parent[self.find(i)] = self.find(j)


def partition(labels: Ids) -> set[frozenset[int]]:
    """Return the sets of positions with equal labels."""
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def ties_over(count: int) -> Ties:
    ties = Ties()
    ties.fresh(count)
    return ties


COUNT = 8
ids_of = st.lists(st.integers(-1, COUNT - 1), min_size=6, max_size=6).map(lambda v: np.array(v, dtype=np.int64))


def test_fresh_ids_follow_one_another() -> None:
    ties = Ties()
    assert (ties.fresh(3).tolist(), ties.fresh(2).tolist(), ties.n_ids) == ([0, 1, 2], [3, 4], 5)


@given(st.lists(st.tuples(ids_of, ids_of), max_size=4))
def test_ties_close_into_the_groups_of_a_union_find(pairs: list[tuple[Ids, Ids]]) -> None:
    ties, reference = ties_over(COUNT), UnionFind(COUNT)
    for a, b in pairs:
        ties.tie(a, b)
        for i, j in zip(a.tolist(), b.tolist(), strict=True):
            if i >= 0 and j >= 0:
                reference.union(i, j)
    assert partition(ties.close()) == partition(np.array([reference.find(i) for i in range(COUNT)]))


@given(ids_of)
def test_ties_broadcast(ids: Ids) -> None:
    ties = ties_over(COUNT)
    ties.tie(ids[:1].reshape(1, 1), ids.reshape(2, 3))
    labels = ties.close()
    inner = ids[ids >= 0]
    assert ids[0] < 0 or len(np.unique(labels[inner])) == 1


def test_what_is_already_one_is_not_tied_again() -> None:
    ties = ties_over(3)
    ties.tie(np.array([0, 1, -1]), np.array([0, 1, 2]))
    assert ties.left == []


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), ()])
def test_tying_along_axes_makes_one_group_of_each_line(axes: tuple[int, ...]) -> None:
    ties = ties_over(6)
    ids = np.arange(6, dtype=np.int64).reshape(2, 3)
    left = ties.tie_along(ids, axes)
    assert left.shape == tuple(1 if a in axes else n for a, n in enumerate(ids.shape))
    np.testing.assert_array_equal(left, ids[: left.shape[0], : left.shape[1]])
    labels = ties.close()[ids]
    assert len(np.unique(labels)) == left.size
    assert (labels == np.broadcast_to(labels[: left.shape[0], : left.shape[1]], ids.shape)).all()
    assert ties.pins == []


def test_what_is_tied_to_no_channel_is_pinned() -> None:
    ties = ties_over(3)
    ties.tie_along(np.array([[0, 1], [-1, 2]]), (0,))
    assert np.concatenate(ties.pins).tolist() == [0, 1, 2]


def test_only_channels_are_pinned() -> None:
    ties = ties_over(4)
    ties.pin(np.array([3, -1, 1, 3]))
    assert [p.tolist() for p in ties.pins] == [[1, 3]]


def test_looking_up_leaves_no_channel_as_it_is() -> None:
    assert look_up(np.array([5, 7]), np.array([[-1, 1], [0, -1]])).tolist() == [[-1, 7], [5, -1]]
    assert look_up(np.zeros(0, dtype=np.int64), np.array([-1])).tolist() == [-1]


# Boxes that can be cut along one axis only


@given(st.lists(st.tuples(ids_of, ids_of), max_size=2), st.permutations(range(6)))
def test_every_table_can_be_cut_along_one_axis(pairs: list[tuple[Ids, Ids]], order: list[int]) -> None:
    ties = ties_over(COUNT)
    for a, b in pairs:
        ties.tie(a, b)
    table = np.array(order, dtype=np.int64).reshape(2, 3)
    labels = make_rectangular(ties, [table], [])
    assert len(varying(compress(labels[table]))) <= 1


def test_the_longer_axis_of_a_table_is_left_free() -> None:
    table = np.arange(6, dtype=np.int64).reshape(3, 2)
    labels = make_rectangular(ties_over(6), [table], [])
    assert partition(labels) == {frozenset({0, 1}), frozenset({2, 3}), frozenset({4, 5})}


def test_an_axis_along_which_groups_differ_already_is_left_free() -> None:
    ties = ties_over(6)
    table = np.arange(6, dtype=np.int64).reshape(3, 2)
    ties.tie_along(table, (0,))
    assert partition(make_rectangular(ties, [table], [])) == {frozenset({0, 2, 4}), frozenset({1, 3, 5})}


def test_a_table_tied_by_another_is_looked_at_again() -> None:
    """The second table's ties make the first one uneven: it is evened out in a further round."""
    ties = ties_over(8)
    first, second = np.arange(4).reshape(2, 2), np.array([[0, 4, 5], [3, 6, 7]])
    labels = make_rectangular(ties, [first, second], [])
    for table in (first, second):
        assert len(varying(compress(labels[table]))) <= 1


# Groups of a grouped layer


def even(labels: Ids, inputs: Ids, outputs: Ids) -> bool:
    """Say whether any choice of groups leaves the layer even: whole groups go, or the same channels of each."""
    found_in, found_out = labels[inputs], labels[outputs]
    same = bool((found_in == found_in[:1]).all() and (found_out == found_out[:1]).all())
    rows = bool((found_in == found_in[:, :1]).all() and (found_out == found_out[:, :1]).all())
    return same or (rows and bool((found_in[:, 0] == found_out[:, 0]).all()))


@pytest.mark.parametrize(
    ("groups", "ins", "outs", "left"),
    [(4, 2, 3, 4), (2, 4, 4, 8), (3, 3, 3, 3), (3, 2, 4, 6), (3, 4, 2, 6)],
    ids=["many groups", "wide groups", "as many as wide", "wide out", "wide in"],
)
def test_whole_groups_go_or_the_same_channels_of_each_whichever_leaves_more(
    groups: int, ins: int, outs: int, left: int
) -> None:
    ties = Ties()
    inputs, outputs = ties.fresh(groups * ins).reshape(groups, -1), ties.fresh(groups * outs).reshape(groups, -1)
    labels = make_rectangular(ties, [], [(inputs, outputs)])
    assert even(labels, inputs, outputs)
    assert len(np.unique(labels)) == left


@given(
    groups=st.integers(2, 4), ins=st.integers(1, 4), outs=st.integers(1, 4),
    pairs=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=4),
)  # fmt: skip
def test_grouped_layers_end_even_whatever_is_tied_before(
    groups: int, ins: int, outs: int, pairs: list[tuple[int, int]]
) -> None:
    ties = Ties()
    inputs, outputs = ties.fresh(groups * ins).reshape(groups, -1), ties.fresh(groups * outs).reshape(groups, -1)
    for a, b in pairs:
        ties.tie(np.array([a % ties.n_ids]), np.array([b % ties.n_ids]))
    assert even(make_rectangular(ties, [], [(inputs, outputs)]), inputs, outputs)


def test_groups_already_tied_row_by_row_stay_whole_groups() -> None:
    ties = Ties()
    inputs, outputs = ties.fresh(8).reshape(2, 4), ties.fresh(8).reshape(2, 4)
    for ids in (inputs, outputs):
        ties.tie_along(ids, (1,))
    labels = make_rectangular(ties, [], [(inputs, outputs)])
    assert len(np.unique(labels)) == 2
    assert labels[inputs[0, 0]] == labels[outputs[0, 0]] != labels[inputs[1, 0]]


def test_a_table_and_its_transpose_leave_the_same_axis_free() -> None:
    ties = ties_over(4)
    split = np.arange(4).reshape(2, 2)
    labels = make_rectangular(ties, [split, split.T.copy()], [])
    assert partition(labels) == {frozenset({0, 1}), frozenset({2, 3})}

"""What a route graph refuses, and what its channels are to its classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modellego.decision_routes import RouteEdges, RouteGraph, RouteLayer, RouteLink, roles
from modellego.errors import LegoError

unit = st.floats(0, 1)
tables = hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 30)), elements=unit)


def one_layer(table: np.ndarray) -> RouteGraph:
    return RouteGraph(tuple(f"c{i}" for i in range(len(table))), (RouteLayer("conv", "conv", table),))


def two_layers(**parts: object) -> RouteGraph:
    layers = (RouteLayer("a", "conv", np.ones((1, 3))), RouteLayer("b", "conv", np.ones((1, 2))))
    return RouteGraph(("dog",), layers, **parts)


@given(tables, unit)
def test_private_channels_pass_for_their_class_alone(table: np.ndarray, threshold: float) -> None:
    role = roles(one_layer(table), 0, threshold)
    on = table >= threshold
    for channel, value in enumerate(role):
        users = np.flatnonzero(on[:, channel])
        expected = users[0] if len(users) == 1 else -1 if len(users) else -2
        assert value == expected


@given(tables, unit)
def test_switching_a_class_off_is_leaving_it_out(table: np.ndarray, threshold: float) -> None:
    active = np.ones(len(table), bool)
    active[-1] = False
    with_off = roles(one_layer(table), 0, threshold, active)
    if len(table) == 1:
        assert (with_off == -2).all()
    else:
        assert (with_off == roles(one_layer(table[:-1]), 0, threshold)).all()


def test_columns_are_longest_paths() -> None:
    layers = tuple(RouteLayer(name, "conv", np.ones((1, 2))) for name in "abcd")
    links = (RouteLink(0, 1), RouteLink(0, 3), RouteLink(1, 2), RouteLink(2, 3), RouteLink(0, 2, "identity"))
    assert RouteGraph(("dog",), layers, links).columns == (0, 1, 2, 3)


@pytest.mark.parametrize("table", [np.full((1, 2), 1.1), np.full((1, 2), -0.1), np.full((1, 2), np.nan)])
def test_contribution_outside_zero_to_one_is_refused(table: np.ndarray) -> None:
    with pytest.raises(LegoError, match=r"contribution of layer conv must lie in 0\.\.1"):
        one_layer(table)


def test_a_table_for_other_classes_is_refused() -> None:
    with pytest.raises(LegoError, match="must have the 2 classes"):
        RouteGraph(("dog", "car"), (RouteLayer("conv", "conv", np.ones((3, 4))),))


@pytest.mark.parametrize(("source", "target"), [(1, 0), (0, 0), (0, 2), (-1, 1)])
def test_links_run_forward(source: int, target: int) -> None:
    with pytest.raises(LegoError, match="links run forward"):
        two_layers(links=(RouteLink(source, target),))


def test_an_edge_to_a_missing_channel_is_refused() -> None:
    edges = RouteEdges(0, 1, np.array([[2, 2]]), np.ones((1, 1)))
    with pytest.raises(LegoError, match="names a channel that is not there"):
        two_layers(edges=(edges,))


def test_edges_need_as_many_pairs_as_weights() -> None:
    edges = RouteEdges(0, 1, np.zeros((1, 2), int), np.ones((2, 1)))
    with pytest.raises(LegoError, match=r"are 2, but their pairs have shape \[1, 2\]"):
        two_layers(edges=(edges,))


@pytest.mark.parametrize("threshold", [-0.1, 1.5])
def test_a_threshold_outside_zero_to_one_is_refused(threshold: float) -> None:
    with pytest.raises(LegoError, match="threshold"):
        two_layers(threshold=threshold)

"""The normalisations equal explicit loops over the formulas, under both rules and both comparisons."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modellego.contribution import allocate as room
from modellego.contribution.aggregate import aggregate, table
from modellego.contribution.allocate import allocate, minmax, pair_relevance, passes

from .reference import allocation, contribution_table


def a_layer(kind: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(1)
    if kind == "linear":
        return nn.Linear(12, 6, dtype=torch.float64), torch.randn(9, 12, dtype=torch.float64)
    kernel, groups = {"1x1": (1, 1), "3x3": (3, 1), "1x1 grouped": (1, 3), "3x3 grouped": (3, 3)}[kind]
    layer = nn.Conv2d(12, 6, kernel, groups=groups, dtype=torch.float64)
    return layer, torch.randn(9, 12, 5, 5, dtype=torch.float64)


KINDS = ["linear", "1x1", "3x3", "1x1 grouped", "3x3 grouped"]


@pytest.mark.parametrize("rule", ["poster", "back_to_front"])
@pytest.mark.parametrize("comparison", [">=", ">"])
@pytest.mark.parametrize("kind", KINDS)
def test_allocation_equals_the_formulas(kind: str, comparison: str, rule: str) -> None:
    layer, x = a_layer(kind)
    relevant = torch.tensor([True, False, True, True, False, True])
    found = allocate(layer, aggregate(layer, x), rule, alpha=0.3, relevant=relevant, comparison=comparison)
    groups = getattr(layer, "groups", 1)
    table = contribution_table(layer, x)
    expected = allocation(table, groups, rule, relevant=relevant, comparison=comparison)
    assert torch.allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_do_not_change_the_result(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = a_layer(kind)
    sums = aggregate(layer, x)
    whole = allocate(layer, sums)
    monkeypatch.setattr(room, "BLOCK_ENTRIES", 1)
    assert torch.allclose(allocate(layer, sums), whole, rtol=0, atol=1e-14)


def test_pair_relevance_is_the_scaled_table() -> None:
    layer, x = a_layer("3x3 grouped")
    sums = aggregate(layer, x)
    assert torch.equal(pair_relevance(layer, sums), minmax(table(layer, sums), 1))


def test_no_relevant_output_channel_leaves_no_relevance() -> None:
    layer, x = a_layer("3x3")
    found = allocate(layer, aggregate(layer, x), "back_to_front", relevant=torch.zeros(6, dtype=torch.bool))
    assert torch.equal(found, torch.zeros(12, dtype=torch.float64))


def test_back_to_front_needs_the_relevant_channels() -> None:
    layer, x = a_layer("3x3")
    with pytest.raises(ValueError, match="relevant"):
        allocate(layer, aggregate(layer, x), "back_to_front")


def test_comparisons_differ_at_the_threshold_only() -> None:
    exact = torch.tensor([0.25, 0.5, 0.75])
    assert passes(exact, 0.5, ">=").tolist() == [False, True, True]
    assert passes(exact, 0.5, ">").tolist() == [False, False, True]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_minmax_stays_between_zero_and_one(values: list[float]) -> None:
    scaled = minmax(torch.tensor(values, dtype=torch.float64), 0)
    assert float(scaled.min()) == 0.0
    assert float(scaled.max()) <= 1.0

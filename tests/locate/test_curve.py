"""The curve: every budget is kept, no layer ends empty, counts are rounded, searches end where they should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modellego.capture import capture
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.errors import CutError
from modellego.evaluation import cost
from modellego.locate import Budget, CostModel, Curve, rank_by_scores
from modellego.zoo import build

NETWORK = capture(build("resnet20", 5, width=0.5, input_size=16).eval(), (3, 16, 16))
CHANNELS = analyse(NETWORK)
WHOLE = (cost(NETWORK).macs, cost(NETWORK).parameters)
COSTS = CostModel(NETWORK, CHANNELS, [0, 1])


def curve(seed: int = 0) -> Curve:
    return rank_by_scores(COSTS, CHANNELS, np.random.default_rng(seed).random(CHANNELS.n_groups), WHOLE)


CURVE = curve()


@settings(max_examples=20, deadline=None)
@given(macs=st.floats(0.05, 1.0), round_to=st.sampled_from([1, 2, 4]))
def test_budget_is_kept_by_the_cut_network(macs: float, round_to: int) -> None:
    try:
        keep = CURVE.at(macs=macs, round_to=round_to)
    except CutError:
        assert CURVE.macs[-1] > macs * WHOLE[0] or round_to > 1
        return
    assert cost(cut(plan_cut(NETWORK, CHANNELS, keep, [0, 1]))).macs <= macs * WHOLE[0]


def test_costs_fall_along_the_curve() -> None:
    assert (np.diff(CURVE.macs) < 0).all()
    assert (np.diff(CURVE.parameters) < 0).all()
    assert len(CURVE) == len(CURVE.macs) == len(CURVE.loss)


def test_the_end_of_the_curve_can_still_be_cut() -> None:
    small = cut(plan_cut(NETWORK, CHANNELS, CURVE.keep(len(CURVE) - 1), [0, 1]))
    assert cost(small).macs == CURVE.macs[-1]


def test_both_limits_hold() -> None:
    keep = CURVE.at(macs=0.7, parameters=0.3)
    small = cost(cut(plan_cut(NETWORK, CHANNELS, keep, [0, 1])))
    assert small.macs <= 0.7 * WHOLE[0]
    assert small.parameters <= 0.3 * WHOLE[1]


def test_channel_counts_are_multiples() -> None:
    small = cut(plan_cut(NETWORK, CHANNELS, CURVE.at(macs=0.6, round_to=4), [0, 1]))
    counts = {m.out_channels for m in small.graph.modules() if hasattr(m, "out_channels")}
    assert all(c % 4 == 0 for c in counts)


def test_one_ranking_serves_all_budgets() -> None:
    small, large = CURVE.at(macs=0.4), CURVE.at(macs=0.8)
    assert (large | ~small).all()


def test_worthless_sets_go_first() -> None:
    scores = np.ones(CHANNELS.n_groups)
    chosen = int(CHANNELS.layer_out["layer2.0.conv1"][3])
    scores[chosen] = 0.0
    assert rank_by_scores(COSTS, CHANNELS, scores, WHOLE).order[0] == chosen


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_shares_out_of_range_are_refused(share: float) -> None:
    with pytest.raises(CutError, match="above 0 and at most 1"):
        CURVE.at(macs=share)


def test_an_impossible_budget_is_refused_with_the_least_possible() -> None:
    with pytest.raises(CutError, match="the budget macs=1e-06 cannot be met: the smallest network has"):
        CURVE.at(macs=1e-6)


def test_max_drop_takes_the_smallest_that_holds() -> None:
    limit = 0.5 * WHOLE[0]
    keep = Budget(max_drop=0.01).apply(CURVE, drop=lambda k: 0.0 if COSTS.macs(k) >= limit else 0.5)
    assert limit <= COSTS.macs(keep) <= 1.1 * limit


def test_latency_takes_the_largest_that_holds() -> None:
    keep = Budget(latency=0.5).apply(CURVE, latency=lambda k: COSTS.macs(k) / WHOLE[0])
    assert 0.4 * WHOLE[0] <= COSTS.macs(keep) <= 0.5 * WHOLE[0]


def test_latency_that_cannot_be_met_is_refused() -> None:
    with pytest.raises(CutError, match="even the smallest"):
        Budget(latency=0.5).apply(CURVE, latency=lambda k: 0.9)


def test_drop_and_macs_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(CutError, match="loosen one"):
        Budget(max_drop=0.0, macs=0.5).apply(CURVE, drop=lambda k: 0.0 if k.all() else 1.0)


@pytest.mark.parametrize("wrong", [{"macs": 0.0}, {"parameters": 2.0}, {"max_drop": 1.0}, {"round_to": 0}])
def test_budgets_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(CutError):
        Budget(**wrong)  # type: ignore[arg-type]

"""The curve: every budget is kept, no layer ends empty, counts are rounded, searches end where they should."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modellego.capture import capture
from modellego.channels import analyse
from modellego.channels.channel_map import KeepMask
from modellego.cut import cut, plan_cut
from modellego.errors import CutError
from modellego.evaluation import cost
from modellego.locate import Budget, CostModel, Curve, rank_by_scores
from modellego.locate.curve import Floats, RemovableGroups
from modellego.zoo import build

NETWORK = capture(build("resnet20", 5, width=0.5, input_size=16).eval(), (3, 16, 16))
CHANNELS = analyse(NETWORK)
WHOLE = (cost(NETWORK).macs, cost(NETWORK).parameters)
SCORES = np.random.default_rng(0).random(CHANNELS.n_groups)


@cache
def costs() -> CostModel:
    return CostModel(NETWORK, CHANNELS, [0, 1])


@cache
def curve() -> Curve:
    return rank_by_scores(costs(), CHANNELS, SCORES, WHOLE)


@settings(max_examples=20, deadline=None)
@given(macs=st.floats(0.05, 1.0), round_to=st.sampled_from([1, 2, 4]))
def test_budget_is_kept_by_the_cut_network(macs: float, round_to: int) -> None:
    try:
        keep = curve().at(macs=macs, round_to=round_to)
    except CutError:
        assert curve().macs[-1] > macs * WHOLE[0] or round_to > 1
        return
    assert cost(cut(plan_cut(NETWORK, CHANNELS, keep, [0, 1]))).macs <= macs * WHOLE[0]


def test_costs_fall_along_the_curve() -> None:
    assert (np.diff(curve().macs) < 0).all()
    assert (np.diff(curve().parameters) < 0).all()
    assert len(curve()) == len(curve().macs) == len(curve().loss)


def test_the_end_of_the_curve_can_still_be_cut() -> None:
    small = cut(plan_cut(NETWORK, CHANNELS, curve().keep(len(curve()) - 1), [0, 1]))
    assert cost(small).macs == curve().macs[-1]


def test_both_limits_hold() -> None:
    keep = curve().at(macs=0.7, parameters=0.3)
    small = cost(cut(plan_cut(NETWORK, CHANNELS, keep, [0, 1])))
    assert small.macs <= 0.7 * WHOLE[0]
    assert small.parameters <= 0.3 * WHOLE[1]


def test_channel_counts_are_multiples() -> None:
    small = cut(plan_cut(NETWORK, CHANNELS, curve().at(macs=0.6, round_to=4), [0, 1]))
    counts = {m.out_channels for m in small.graph.modules() if hasattr(m, "out_channels")}
    assert all(c % 4 == 0 for c in counts)


def test_one_ranking_serves_all_budgets() -> None:
    small, large = curve().at(macs=0.4), curve().at(macs=0.8)
    assert (large | ~small).all()


def test_the_loss_is_the_sum_of_the_scores_that_went() -> None:
    assert curve().loss == pytest.approx([0, *np.cumsum(SCORES[curve().order])])


def test_each_group_is_the_cheapest_of_those_left_for_what_it_saves_now() -> None:
    keep, removable = CHANNELS.keep_all(), RemovableGroups(CHANNELS)
    for chosen in curve().order.tolist():
        saved = costs().saving(keep, "macs")
        left = np.flatnonzero(removable.allowed())
        assert SCORES[chosen] / saved[chosen] == pytest.approx((SCORES[left] / saved[left]).min())
        removable.remove(chosen)
        keep[chosen] = False


def test_along_a_long_ranking_the_savings_are_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    class Counting(CostModel):
        def saving(self, keep: KeepMask, what: str = "macs") -> Floats:
            looks.append(int(keep.sum()))
            return super().saving(keep, what)

    monkeypatch.setattr("modellego.locate.curve.LOOKS", 4)
    movable = int(RemovableGroups(CHANNELS).allowed().sum())
    rank_by_scores(Counting(NETWORK, CHANNELS, [0, 1]), CHANNELS, SCORES, WHOLE)
    assert set(-np.diff(looks)) == {movable // 4}


def test_worthless_sets_go_first() -> None:
    scores = np.ones(CHANNELS.n_groups)
    chosen = int(CHANNELS.layer_out["layer2.0.conv1"][3])
    scores[chosen] = 0.0
    assert rank_by_scores(costs(), CHANNELS, scores, WHOLE).order[0] == chosen


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_shares_out_of_range_are_refused(share: float) -> None:
    with pytest.raises(CutError, match="above 0 and at most 1"):
        curve().at(macs=share)


def test_an_impossible_budget_is_refused_with_the_least_possible() -> None:
    with pytest.raises(CutError, match="the budget macs=1e-06 cannot be met: the smallest network has"):
        curve().at(macs=1e-6)


def test_max_drop_takes_the_smallest_that_holds() -> None:
    limit = 0.5 * WHOLE[0]
    keep = Budget(max_drop=0.01).apply(curve(), drop=lambda k: 0.0 if costs().macs(k) >= limit else 0.5)
    assert limit <= costs().macs(keep) <= 1.1 * limit


def test_latency_takes_the_largest_that_holds() -> None:
    keep = Budget(latency=0.5).apply(curve(), latency=lambda k: costs().macs(k) / WHOLE[0])
    assert 0.4 * WHOLE[0] <= costs().macs(keep) <= 0.5 * WHOLE[0]


def test_latency_that_cannot_be_met_is_refused() -> None:
    with pytest.raises(CutError, match="even the smallest"):
        Budget(latency=0.5).apply(curve(), latency=lambda k: 0.9)


def test_drop_and_macs_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(CutError, match="loosen one"):
        Budget(max_drop=0.0, macs=0.5).apply(curve(), drop=lambda k: 0.0 if k.all() else 1.0)


@pytest.mark.parametrize("wrong", [{"macs": 0.0}, {"parameters": 2.0}, {"max_drop": 1.0}, {"round_to": 0}])
def test_budgets_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(CutError):
        Budget(**wrong)  # type: ignore[arg-type]

"""Channel groups of a very wide layer cost what they give, whatever has gone before them."""

import pytest
import torch
from torch import nn

from modellego.locate.independent import Independent

ROWS = torch.randn(40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
OWNED = {0: torch.arange(3), 1: torch.tensor([3, 4]), 7: torch.tensor([5])}
LAYER = nn.Linear(6, 4, bias=False).double()
METRIC = torch.eye(4, dtype=torch.float64) + 0.5


def independent() -> Independent:
    blocks = {s: ROWS[:, i].T @ ROWS[:, i] / 40 for s, i in OWNED.items()}
    return Independent(LAYER, OWNED, blocks, torch.tensor([2, 3, 4, 5]), METRIC, 1e-12)


def given(chosen: int, outputs: list[int]) -> float:
    """The mean squared output, by the metric, of one group's features."""
    own = ROWS[:, OWNED[chosen]] @ LAYER.weight.detach()[:, OWNED[chosen]].T
    metric = METRIC[outputs][:, outputs]
    return float((own[:, outputs] @ metric * own[:, outputs]).sum(1).mean())


def test_a_group_costs_what_it_gives() -> None:
    made = independent()
    assert dict(zip(made.groups.tolist(), made.costs(), strict=True)) == pytest.approx(
        {s: given(s, [0, 1, 2, 3]) for s in OWNED}, rel=1e-6
    )


def test_outputs_that_have_gone_count_no_more() -> None:
    made = independent()
    made.costs()
    for chosen in (3, 5):
        made.silence(chosen)
        made.costs()
    assert made.costs() == pytest.approx([given(s, [0, 2]) for s in made.groups.tolist()], rel=1e-6)


def test_outputs_that_go_together_end_where_single_ones_do() -> None:
    made = independent()
    for chosen in (3, 5):
        made.silence(chosen)
    assert made.costs() == pytest.approx([given(s, [0, 2]) for s in made.groups.tolist()], rel=1e-6)


def test_the_loss_is_the_sum_of_what_went() -> None:
    made = independent()
    made.remove(1)
    made.remove(1)
    made.remove(7)
    assert made.loss == pytest.approx(given(1, [0, 1, 2, 3]) + given(7, [0, 1, 2, 3]), rel=1e-6)


def test_the_cheapest_half_goes_and_the_layer_stays() -> None:
    made, before = independent(), LAYER.weight.detach().clone()
    cheapest = min(OWNED, key=lambda s: given(s, [0, 1, 2, 3]))
    loss, weights = made.cheapest_half()
    assert loss == pytest.approx(given(cheapest, [0, 1, 2, 3]), rel=1e-6)
    assert (weights == 0).all(1).nonzero().reshape(-1).tolist() == OWNED[cheapest].tolist()
    assert torch.equal(LAYER.weight.detach(), before)

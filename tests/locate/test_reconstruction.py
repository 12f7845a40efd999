"""Backward elimination on paper equals refitting for real, at every step."""

import numpy as np
import pytest
import torch
from torch import nn

from modellego.leastsquares import NormalEquations, input_rows, weight_matrix
from modellego.locate.reconstruction import LOOKS, Lots, Reconstruction, inverse_of, make_reconstructions

LAYER = nn.Conv2d(5, 4, 3, padding=1, bias=False)
IMAGES = torch.randn(20, 5, 6, 6, generator=torch.Generator().manual_seed(0))
RIDGE = 1e-6


def reader() -> tuple[Reconstruction, torch.Tensor]:
    equations = NormalEquations(1, 45, 0, bias=True)
    equations.add_inputs(input_rows(LAYER, IMAGES, (6, 6), None))
    gram = equations.gram / equations.rows
    (made,) = make_reconstructions(
        LAYER,
        np.arange(5),
        np.arange(5, 9),
        gram.clone(),
        torch.eye(4, dtype=torch.float64),
        RIDGE,
        np.ones(9, dtype=bool),
    )
    return made, gram[0]


def refitted(gram: torch.Tensor, kept: torch.Tensor) -> float:
    """The least squared error of giving the whole layer's output from some of its features."""
    weights = torch.cat([weight_matrix(LAYER)[0], torch.zeros(1, 4, dtype=torch.float64)])
    regular = gram + RIDGE * gram.diagonal()[:-1].mean() * torch.eye(46, dtype=torch.float64)
    best = torch.linalg.solve(regular[kept][:, kept], regular[kept] @ weights)
    wrong = weights.clone()
    wrong[kept] -= best
    return float((wrong * (regular @ wrong)).sum())


@pytest.mark.parametrize("order", [[0], [3, 1], [4, 0, 2, 1]])
def test_loss_is_that_of_the_best_refit(order: list[int]) -> None:
    made, gram = reader()
    for chosen in order:
        made.remove(chosen)
    kept = torch.tensor([i for i in range(46) if i // 9 not in order])
    assert made.loss == pytest.approx(refitted(gram, kept), rel=1e-4)


def test_the_ridge_is_in_units_of_the_features_mean_power() -> None:
    """Features ten times as large make every loss a hundred times as large, however strong the ridge."""
    _, gram = reader()
    losses = []
    for times in (1, 100):
        own = (times * gram[None]).clone()
        (made,) = make_reconstructions(
            LAYER, np.arange(5), np.arange(5, 9), own, torch.eye(4, dtype=torch.float64), 0.5, np.ones(9, dtype=bool)
        )
        made.remove(3)
        losses.append(made.loss)
    assert losses[1] == pytest.approx(100 * losses[0])


def test_costs_are_the_rise_of_the_loss() -> None:
    made, _ = reader()
    made.remove(2)
    costs, before = made.costs(), made.loss
    made.remove(4)
    made.whole_weights()
    assert made.loss - before == pytest.approx(costs[4], rel=1e-6)


def test_outputs_nobody_wants_cost_nothing() -> None:
    made, _ = reader()
    for chosen in range(5, 9):
        made.silence(chosen)
    assert max(made.costs()) == pytest.approx(0)


def test_removals_worked_in_together_end_where_single_ones_do() -> None:
    one, _ = reader()
    other, _ = reader()
    one.costs()
    other.costs()
    for chosen in (3, 0, 4):
        one.remove(chosen)
    other._lots = Lots(3 * LOOKS + 2, 4)  # as if there were many more: three go together
    for chosen in (3, 0, 4):
        other.remove(chosen)
    assert other.loss == pytest.approx(one.loss, rel=1e-9)
    torch.testing.assert_close(other.whole_weights(), one.whole_weights())


def test_silence_and_removal_give_the_cost_of_what_is_left() -> None:
    made, gram = reader()
    metric = torch.rand(4, 4, dtype=torch.float64)
    metric = metric @ metric.T
    made = Reconstruction(made.inverse, made.weights, metric, made.features, made.outputs)
    for step, chosen in ((made.remove, 1), (made.silence, 6), (made.remove, 3), (made.silence, 8)):
        step(chosen)
    cared = torch.diag(torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64))
    regular = gram + RIDGE * gram.diagonal()[:-1].mean() * torch.eye(46, dtype=torch.float64)
    weights = torch.cat([weight_matrix(LAYER)[0], torch.zeros(1, 4, dtype=torch.float64)])
    left = torch.tensor([i for i in range(46) if i // 9 not in (1, 3)])
    inverse = torch.linalg.inv(regular[left][:, left])
    best = inverse @ regular[left] @ weights
    for place, chosen in enumerate((0, 2, 4)):
        own = slice(9 * place, 9 * place + 9)
        wanted = (torch.linalg.inv(inverse[own, own]) @ best[own] @ cared @ metric @ cared @ best[own].T).trace()
        assert made.costs()[chosen] == pytest.approx(float(wanted), rel=1e-4)


def test_finding_the_cheapest_half_changes_nothing() -> None:
    made, _ = reader()
    before = made.inverse.clone()
    loss, weights = made.cheapest_half()
    assert loss > 0
    assert int((weights == 0).all(1).sum()) == 18  # two of five groups, nine features each
    assert made.loss == 0
    assert torch.equal(made.inverse, before)


def test_a_matrix_that_is_not_positive_is_inverted_all_the_same() -> None:
    matrix = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(inverse_of(matrix) @ matrix, torch.eye(2, dtype=torch.float64))

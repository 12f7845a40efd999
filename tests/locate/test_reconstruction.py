"""Backward elimination on paper equals refitting for real, at every step."""

import numpy as np
import pytest
import torch
from torch import nn

from modellego.leastsquares import NormalEquations, input_rows, weight_matrix
from modellego.locate.reconstruction import Reconstruction, make_independent, make_reconstructions

LAYER = nn.Conv2d(5, 4, 3, padding=1, bias=False)
IMAGES = torch.randn(20, 5, 6, 6, generator=torch.Generator().manual_seed(0))
RIDGE = 1e-6


def reader() -> tuple[Reconstruction, torch.Tensor]:
    equations = NormalEquations(1, 45, 0, bias=True)
    equations.add_inputs(input_rows(LAYER, IMAGES, (6, 6), None))
    gram = equations.gram / equations.rows
    (made,) = make_reconstructions(
        "layer",
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


def test_costs_are_the_rise_of_the_loss() -> None:
    made, _ = reader()
    made.remove(2)
    costs, before = made.costs(), made.loss
    made.remove(4)
    assert made.loss - before == pytest.approx(costs[4], rel=1e-6)


def test_outputs_nobody_wants_cost_nothing() -> None:
    made, _ = reader()
    for chosen in range(5, 9):
        made.silence(chosen)
    assert max(made.costs().values()) == pytest.approx(0)


def test_removals_worked_in_together_end_where_single_ones_do() -> None:
    one, _ = reader()
    other, _ = reader()
    one.costs()
    other.costs()
    for chosen in (3, 0, 4):
        one.remove(chosen)
    other._lot = lambda: 3  # type: ignore[method-assign]
    for chosen in (3, 0, 4):
        other.remove(chosen)
    assert other.loss == pytest.approx(one.loss, rel=1e-9)
    torch.testing.assert_close(other.whole_weights(), one.whole_weights())


def test_silence_and_removal_give_the_cost_of_what_is_left() -> None:
    made, _ = reader()
    made.metric = torch.rand(4, 4, dtype=torch.float64)
    made.metric = made.metric @ made.metric.T
    made = made.copy()
    for step, chosen in ((made.remove, 1), (made.silence, 6), (made.remove, 3), (made.silence, 8)):
        step(chosen)
    cared = torch.diag(torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64))
    made.costs()
    torch.testing.assert_close(made._weighed, made.weights @ (cared @ made.metric @ cared))


def test_groups_that_stand_alone_cost_what_they_give() -> None:
    layer, rows = nn.Linear(6, 2, bias=False), torch.randn(40, 6, dtype=torch.float64)
    owned = {0: torch.arange(3), 1: torch.arange(3, 6)}
    blocks = {s: rows[:, i].T @ rows[:, i] / 40 for s, i in owned.items()}
    metric = torch.eye(2, dtype=torch.float64)
    for made, (chosen, index) in zip(
        make_independent("fc", layer, owned, np.arange(2, 4), blocks, metric, 1e-12), owned.items(), strict=True
    ):
        given = rows[:, index] @ weight_matrix(layer)[0][index]
        assert made.costs()[chosen] == pytest.approx(float((given**2).sum(1).mean()), rel=1e-6)


def test_a_copy_is_apart() -> None:
    made, _ = reader()
    made.copy().remove(0)
    assert made.loss == 0
    assert 0 in made.costs()

"""The convex head: its slope is the loss's, neutral terms change nothing, penalties hold it at its anchor."""

from dataclasses import replace

import pytest
import torch

from modellego.assembly.heads.convex import (
    Penalty,
    as_linear,
    fit_terms,
    groups_matrix,
    make_problem,
    neutral,
    slope_of,
)
from tests.assembly.heads.problems import accuracy, problem


def test_columns_are_brought_to_one_spread_but_for_those_that_hardly_vary() -> None:
    rows, anchor, _ = problem()
    columns = rows.columns * torch.tensor([1.0, 50, 0.1, 1, 1, 1, 1, 1])
    columns[:, 3] = 7 + 1e-5 * torch.randn(len(columns), generator=torch.Generator().manual_seed(0))
    spread = make_problem(replace(rows, columns=columns), anchor, balance=False).columns.std(0, correction=0)
    assert spread[[0, 1, 4, 5]].tolist() == pytest.approx([1] * 4, abs=0.02)
    assert spread[2] > 0.8
    assert spread[3] < 0.01


def test_neutral_terms_give_the_concatenated_head() -> None:
    rows, anchor, _ = problem()
    made = make_problem(rows, anchor)
    weight, bias = as_linear(neutral(made), made)
    assert torch.allclose(weight.float(), anchor.weight, atol=1e-6)
    assert torch.allclose(bias.float(), anchor.bias, atol=1e-6)


def test_the_slope_is_the_losss_gradient() -> None:
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels, weights = torch.tensor([0, 1, 2, 0, 1, 2]), torch.full((6,), 1 / 6, dtype=torch.float64)
    wanted = groups_matrix([[0, 3], [1], [2]], 4).double()
    loss = -(weights * (logits.softmax(1) @ wanted).log().gather(1, labels[:, None])[:, 0]).sum()
    (gradient,) = torch.autograd.grad(loss, logits)
    value, slope = slope_of(logits.detach(), labels, weights, wanted)
    assert abs(value - float(loss.detach())) < 1e-12
    assert torch.allclose(slope, gradient, atol=1e-12)


def test_the_optimum_is_that_of_a_plain_autograd_minimiser() -> None:
    rows, anchor, labels = problem(count=60)
    made, penalty = make_problem(rows, anchor), Penalty(0.1, 0.1)
    terms = fit_terms(made, penalty, iterations=300)
    names = ("rows", "gate", "level", "scale", "shift")
    own = anchor.brick_of_class

    def objective(values: list[torch.Tensor]) -> torch.Tensor:
        r, g, level, scale, shift = values
        logits = made.columns @ (r + g[own]).T + made.logits * scale[own] + shift + level[own]
        loss = (made.weights * torch.nn.functional.cross_entropy(logits, labels, reduction="none")).sum()
        ridge = 0.1 * (r.square().sum() + g.square().sum()) + 1e-2 * shift.square().sum()
        return loss + ridge + 1e-2 * (scale - 1).square().sum()

    start = [getattr(neutral(made), n).clone().requires_grad_() for n in names]
    solver = torch.optim.LBFGS(start, max_iter=1000, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        solver.zero_grad()
        value = objective(start)
        value.backward()
        return value

    solver.step(step)
    ended = [getattr(terms, n).clone().requires_grad_() for n in names]
    found, best = objective(ended), float(objective(start).detach())
    assert abs(found.item() - best) < 1e-3 * abs(best)
    for name, pull in zip(names, torch.autograd.grad(found, ended), strict=True):
        assert pull.norm() < 5e-4, name


def test_a_strong_penalty_keeps_the_anchors_rows() -> None:
    rows, anchor, _ = problem()
    made = make_problem(rows, anchor)
    loose, tight = (fit_terms(made, Penalty(p, p)) for p in (1e-3, 1e3))
    assert tight.rows.norm() < 1e-2 * loose.rows.norm()


def test_a_loud_brick_is_made_comparable() -> None:
    rows, anchor, labels = problem()
    made = make_problem(rows, anchor)
    weight, bias = as_linear(fit_terms(made, Penalty(0.01, 0.1)), made)
    columns = rows.columns.double()
    assert accuracy(columns @ weight.T + bias, labels) > accuracy(anchor.logits(columns), labels) + 0.05

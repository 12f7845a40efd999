"""Normal equations: the textbook's answer, whatever the blocks, the form or the condition."""

import pytest
import torch

from modellego.leastsquares import NormalEquations, solve_dual


def problem(rows: int, features: int, outputs: int = 2, groups: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(groups, rows, features, generator=generator)
    return x, torch.randn(groups, rows, outputs, generator=generator)


def equations_of(x: torch.Tensor, y: torch.Tensor, bias: bool) -> NormalEquations:
    equations = NormalEquations(x.shape[0], x.shape[2], y.shape[2], bias=bias)
    equations.add(x, y)
    return equations


def test_matches_lstsq_without_ridge() -> None:
    x, y = problem(50, 6)
    found = equations_of(x, y, False).solve(torch.zeros(1, 6, 2, dtype=torch.float64), 0.0).weights
    torch.testing.assert_close(found[0].float(), torch.linalg.lstsq(x[0], y[0]).solution, atol=1e-4, rtol=1e-4)


def test_streamed_equals_whole() -> None:
    x, y = problem(60, 5, groups=3)
    whole = equations_of(x, y, True)
    parts = NormalEquations(3, 5, 2, bias=True)
    for i in range(0, 60, 7):
        parts.add(x[:, i : i + 7], y[:, i : i + 7])
    torch.testing.assert_close(whole.gram, parts.gram, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(whole.cross, parts.cross, atol=1e-4, rtol=1e-5)


def test_more_rows_do_not_take_more_memory() -> None:
    equations = NormalEquations(1, 4, 1, bias=False)
    sizes = []
    for _ in range(3):
        equations.add(torch.randn(1, 1000, 4), torch.randn(1, 1000, 1))
        sizes.append(equations.gram.numel() + equations.cross.numel() + equations.power.numel())
    assert len(set(sizes)) == 1


@pytest.mark.parametrize("bias", [True, False])
def test_dual_equals_primal(bias: bool) -> None:
    x, y = problem(8, 20, groups=2)
    prior = torch.randn(2, 20 + bias, 2, dtype=torch.float64)
    primal = equations_of(x, y, bias).solve(prior, 0.05).weights
    torch.testing.assert_close(primal, solve_dual(x, y, prior, 0.05, bias=bias).weights, atol=1e-4, rtol=1e-4)


def test_strong_ridge_gives_the_prior() -> None:
    x, y = problem(30, 4)
    prior = torch.ones(1, 4, 2, dtype=torch.float64)
    found = equations_of(x, y, False).solve(prior, 1e9).weights
    torch.testing.assert_close(found, prior, atol=1e-5, rtol=1e-5)


def test_duplicate_features_are_solved() -> None:
    x, y = problem(30, 4)
    x[..., 3] = x[..., 2]
    found = equations_of(x, y, True).solve(torch.zeros(1, 5, 2, dtype=torch.float64), 0.0).weights
    assert torch.isfinite(found).all()


def test_dead_features_are_solved() -> None:
    x, y = problem(30, 4)
    x.zero_()
    found = equations_of(x, y, True).solve(torch.ones(1, 5, 2, dtype=torch.float64), 1e-3).weights
    torch.testing.assert_close(found[0, -1].float(), y[0].mean(0), atol=1e-2, rtol=1e-2)


def test_error_is_the_sum_of_squares() -> None:
    x, y = problem(30, 4)
    equations = equations_of(x, y, True)
    weights = torch.randn(1, 5, 2, dtype=torch.float64)
    direct = ((equations.with_ones(x).double() @ weights - y.double()) ** 2).sum()
    assert equations.error(weights) == pytest.approx(float(direct), rel=1e-4)


def test_not_a_number_is_refused() -> None:
    x, y = problem(30, 4)
    x[0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        equations_of(x, y, False).solve(torch.zeros(1, 4, 2, dtype=torch.float64), 1e-3)

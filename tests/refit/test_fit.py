"""One stage's fit: what a ReLU clips asks nothing, and the ridge is the one that serves rows it has not seen."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from modellego.leastsquares import NormalEquations
from modellego.refit.fit import Fit, Rows, _choose_ridge, _move, fit_stage


def fitted(
    x: Tensor,
    target: Tensor,
    prior: Tensor | None = None,
    *,
    bounds: tuple[float, float] | None = None,
    ridges: tuple[float, ...] = (1e-6,),
    rounds: int = 30,
    offset: Tensor | None = None,
    bias: bool = False,
) -> Fit:
    """Fit rows [M, F] to targets [M, Q], handed on in two batches."""
    prior = torch.zeros(x.shape[1] + bias, target.shape[1], dtype=torch.float64) if prior is None else prior
    half = len(x) // 2

    def rows() -> Iterator[Rows]:
        for part in (slice(0, half), slice(half, None)):
            numbers = torch.arange(len(x))[part]
            yield x[None, part], target[None, part], None if offset is None else offset[None, part], numbers

    return fit_stage(rows, len(x), prior[None], bias=bias, bounds=bounds, ridges=ridges, rounds=rounds)


# Bounds


@pytest.mark.parametrize(
    ("bounds", "target", "predicted", "moved"),
    [
        ((0.0, math.inf), 0.0, -2.0, -2.0),
        ((0.0, math.inf), -1.0, -2.0, -2.0),
        ((0.0, math.inf), -1.0, 3.0, 0.0),
        ((0.0, math.inf), 0.5, -2.0, 0.5),
        ((0.0, 6.0), 6.0, 9.0, 9.0),
        ((0.0, 6.0), 7.0, 9.0, 9.0),
        ((0.0, 6.0), 7.0, 1.0, 6.0),
        ((0.0, 6.0), 5.5, 9.0, 5.5),
        ((-math.inf, math.inf), 1.0, 9.0, 1.0),
    ],
)
def test_a_target_at_or_beyond_a_bound_moves_to_the_prediction(
    bounds: tuple[float, float], target: float, predicted: float, moved: float
) -> None:
    assert _move(torch.tensor([target]), torch.tensor([predicted]), bounds).item() == moved


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["lower", "upper"])
@pytest.mark.parametrize("beyond", [0.0, 0.3], ids=["at the bound", "beyond it"])
def test_rows_at_or_beyond_a_bound_do_not_bend_the_fit_of_the_others(sign: float, beyond: float) -> None:
    """Where y = max(x, 0) is wanted behind a ReLU, the fit is y = x, not the straight line through all targets."""
    x = torch.tensor([[-1.0], [1.0], [-2.0], [2.0]])
    target = sign * torch.tensor([[-beyond], [1.0], [-beyond], [2.0]])
    bounds = (0.0, math.inf) if sign > 0 else (-math.inf, 0.0)
    assert fitted(x, target, bounds=bounds).solution.weights.item() == pytest.approx(sign, abs=1e-3)


def test_without_bounds_every_row_counts() -> None:
    x, target = torch.tensor([[-1.0], [1.0], [-2.0], [2.0]]), torch.tensor([[0.0], [1.0], [0.0], [2.0]])
    assert fitted(x, target).solution.weights.item() == pytest.approx(0.5, abs=1e-3)


def test_few_rows_of_many_features_heed_the_bounds_too() -> None:
    x = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    target = torch.tensor([[0.0], [1.0]])
    found = fitted(x, target, bounds=(0.0, math.inf), ridges=(1e-3,), rounds=60)
    assert found.root  # the dual form
    assert found.solution.weights[0, 0].item() == pytest.approx(1, abs=0.05)


def test_errors_are_of_what_the_bounds_let_through() -> None:
    """Before: the prior -x gives max(-x, 0) where max(x, 0) is wanted; after: nothing is wrong."""
    x = torch.tensor([[-1.0], [1.0], [-2.0], [2.0]])
    found = fitted(x, x, -torch.ones(1, 1, dtype=torch.float64), bounds=(0.0, math.inf))
    assert found.before == pytest.approx(2)
    assert found.after == pytest.approx(0, abs=1e-4)


# Offsets, moments


@pytest.mark.parametrize("rows", [3, 40], ids=["dual", "primal"])
@pytest.mark.parametrize("bounds", [None, (0.0, math.inf)], ids=["free", "bounded"])
def test_an_offset_is_what_others_add(rows: int, bounds: tuple[float, float] | None) -> None:
    generator = torch.Generator().manual_seed(0)
    x, offset = torch.rand(rows, 5, generator=generator), torch.rand(rows, 2, generator=generator)
    weights = torch.rand(5, 2, generator=generator)
    found = fitted(x, x @ weights + offset, offset=offset, bounds=bounds)
    torch.testing.assert_close(x.double() @ found.solution.weights[0], (x @ weights).double(), atol=1e-3, rtol=1e-3)
    assert found.after < 1e-6 < found.before


@pytest.mark.parametrize(("rows", "bias"), [(40, True), (4, True), (4, False)], ids=["primal", "dual", "dual, no bias"])
def test_moments_are_those_of_the_rows(rows: int, bias: bool) -> None:
    x = torch.randn(rows, 6, generator=torch.Generator().manual_seed(0)) + 1
    found = fitted(x, x[:, :2], bias=bias)
    part, weights = slice(1, 4), torch.rand(1, 3, 2, dtype=torch.float64)
    mean, variance = found.moments(weights, part)
    made = x[:, part].double() @ weights[0]
    torch.testing.assert_close(mean[0], made.mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(variance[0], made.var(0, correction=0), atol=1e-5, rtol=1e-4)
    assert found.rows == rows


# The ridge


def halves(rows: int, features: int, noise: float) -> list[NormalEquations]:
    """Two halves of rows of one linear law, with noise."""
    generator = torch.Generator().manual_seed(0)
    law = torch.randn(features, 1, generator=generator)
    found = []
    for _ in range(2):
        x = torch.randn(1, rows, features, generator=generator)
        equations = NormalEquations(1, features, 1, bias=False)
        equations.add(x, x @ law + noise * torch.randn(1, rows, 1, generator=generator))
        found.append(equations)
    return found


@pytest.mark.parametrize(("noise", "chosen"), [(0.0, 1e-6), (100.0, 10.0)])
def test_the_ridge_is_the_one_that_serves_the_other_half(noise: float, chosen: float) -> None:
    prior = torch.zeros(1, 4, 1, dtype=torch.float64)
    assert _choose_ridge(halves(12, 4, noise), prior, (1e-6, 1e-3, 10.0)) == chosen


@pytest.mark.parametrize(("noise", "chosen"), [(0.0, 1e-6), (100.0, 10.0)])
def test_of_two_ridges_too_the_one_that_serves_is_taken(noise: float, chosen: float) -> None:
    prior = torch.zeros(1, 4, 1, dtype=torch.float64)
    assert _choose_ridge(halves(12, 4, noise), prior, (1e-6, 10.0)) == chosen


class Half:
    """Stands for the equations of a half of the rows: notes the ridges that are tried; all serve alike."""

    rows = 1

    def __init__(self) -> None:
        self.tried: list[float] = []
        self.weights = None

    def factor(self, ridge: float) -> "Half":
        self.tried.append(ridge)
        return self

    def solve(self, equations: "Half", prior: Tensor) -> "Half":
        return self

    def error(self, weights: None) -> float:
        return float(len(self.tried))


@pytest.mark.parametrize(
    ("features", "tried"), [(1500, [1.0, 1e-3, 1e-1, 1e-2]), (1501, [1e-2, 1e-1])], ids=["narrow", "wide"]
)
def test_a_wide_layer_tries_the_middle_ridges_only(features: int, tried: list[float]) -> None:
    half = Half()
    _choose_ridge([half, half], torch.zeros(1, features, 1), (1.0, 1e-3, 1e-1, 1e-2))  # type: ignore[list-item]
    assert half.tried[::2] == tried


def test_a_wide_layer_with_one_ridge_takes_it() -> None:
    assert _choose_ridge([Half(), Half()], torch.zeros(1, 1501, 1), (0.5,)) == 0.5  # type: ignore[list-item]


def test_with_one_half_empty_the_middle_ridge_is_taken() -> None:
    equations = halves(12, 4, 0.0)
    equations[1].rows = 0
    assert _choose_ridge(equations, torch.zeros(1, 4, 1, dtype=torch.float64), (1.0, 2.0, 3.0)) == 2.0


# Memory


def test_each_round_goes_through_the_rows_once() -> None:
    gathered = []

    def rows() -> Iterator[Rows]:
        gathered.append(None)
        for _ in range(2):
            yield torch.ones(1, 4, 1), torch.ones(1, 4, 1), None, torch.arange(4)

    prior = torch.zeros(1, 1, 1, dtype=torch.float64)
    fit_stage(rows, 8, prior, bias=False, bounds=(0.0, math.inf), ridges=(1e-3,), rounds=3)
    assert len(gathered) == 1 + 3 + 1

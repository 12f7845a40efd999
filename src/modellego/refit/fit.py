"""One stage's fit: rows from both walks, the normal equations, and the rounds that leave out what a ReLU clips."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from modellego.distributed import gathered, summed
from modellego.leastsquares import DualFactor, NormalEquations, Solution
from modellego.refit.plan import Bounds

WIDE = 45_000_000  # numbers of the rows, at most, where features are too many for their square: every n-th row is taken
DUAL = 6_000  # rows up to which the dual form is taken where features are more

# input rows [groups, M, F], target rows [groups, M, Q], offset rows [groups, M, Q], the rows' numbers int64 [M]
Rows = tuple[Tensor, Tensor, Tensor | None, Tensor]


@dataclass(frozen=True)
class Fit:
    """Fitted weights `[groups, F (+ 1), Q]`, moments of the features, relative squared errors before and after.

    `mean` is `[groups, F]`; `second` the features' mean products, `[groups, F, F]`, or with `root` a matrix
    `[groups, M, F]` whose square they are. Every `every`-th of the rows was taken.
    """

    solution: Solution
    mean: Tensor
    second: Tensor
    root: bool
    rows: int
    before: float
    after: float
    every: int = 1

    def moments(self, weights: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        """Return mean and variance `[groups, Q]` of what weights `[groups, F', Q]` make of a part of the features."""
        mean = (self.mean[:, part, None] * weights).sum(1)
        if self.root:
            second = ((self.second[:, :, part] @ weights) ** 2).sum(1)
        else:
            second = (weights * (self.second[:, part, part] @ weights)).sum(1)
        return mean, (second - mean**2).clamp(min=0)


def fit_stage(
    rows: Callable[[], Iterator[Rows]],
    total: int,
    prior: Tensor,
    *,
    bias: bool,
    bounds: Bounds | None,
    ridges: tuple[float, ...],
    rounds: int,
) -> Fit:
    """Fit `X W + offset` to the targets, towards `prior` (float64 `[groups, F (+ 1), Q]`).

    `rows` goes through the rows of all images in batches, again for each round; of several processes each has those of
    its share, and `total` counts all. With `bounds`, a target
    at or beyond a bound only asks the fit to be at or beyond it too: after each solution the targets there
    move to the prediction (the convex loss is majorised by a square), `rounds` times.
    """
    groups, size, outputs = prior.shape
    features = size - int(bias)
    if features > DUAL or total < features:
        every = max(1, math.ceil(total * groups * features / WIDE))
        return _fit_dual(
            _thinned(rows(), every),
            prior,
            every,
            bias=bias,
            bounds=bounds,
            ridge=ridges[len(ridges) // 2],
            rounds=rounds,
        )
    halves = [NormalEquations(groups, features, outputs, bias=bias) for _ in range(2)]
    for i, (x, target, offset, _) in enumerate(rows()):
        halves[i % 2].add(x, target if offset is None else target - offset)
    for half in halves:
        half.add_up()
    ridge = _choose_ridge(halves, prior, ridges)
    equations = halves[0]
    for name in ("gram", "cross", "power"):
        getattr(equations, name).add_(getattr(halves[1], name))
    equations.rows += halves[1].rows
    factor = equations.factor(ridge)
    solution = factor.solve(equations, prior)
    for _ in range(rounds if bounds is not None else 0):
        assert bounds is not None
        equations.clear_targets()
        weights = solution.weights
        for x, target, offset, _ in rows():
            predicted = _predict(equations, x, weights, offset)
            moved = _move(target, predicted, bounds)
            equations.add_targets(x, moved if offset is None else moved - offset)
        equations.add_up(targets_only=True)
        solution = factor.solve(equations, prior)
    before, after = _errors(equations, rows(), (prior, solution.weights), bounds)
    count = max(equations.rows, 1)
    mean = equations.gram[:, -1, :features] / count if bias else torch.zeros(groups, features, dtype=torch.float64)
    second = equations.gram[:, :features, :features] / count
    return Fit(solution, mean, second, False, equations.rows, before, after)


def _thinned(batches: Iterator[Rows], every: int) -> Rows:
    """Return every n-th of the rows, by their numbers, of all processes and in order."""
    found: list[tuple[Tensor, Tensor, Tensor | None, Tensor]] = []
    for x, target, offset, numbers in batches:
        part = (numbers % every == 0).nonzero().reshape(-1)
        here = part.to(x.device)
        found.append((x[:, here], target[:, here], None if offset is None else offset[:, here], numbers[part]))
    numbers = gathered([block[3] for block in found])
    order = numbers.argsort(stable=True)

    def together(parts: list[Tensor]) -> Tensor:
        return gathered([part.transpose(0, 1) for part in parts])[order].transpose(0, 1)

    offsets = [block[2] for block in found if block[2] is not None]
    return (
        together([block[0] for block in found]),
        together([block[1] for block in found]),
        together(offsets) if offsets else None,
        numbers[order],
    )


def _predict(equations: NormalEquations, x: Tensor, weights: Tensor, offset: Tensor | None) -> Tensor:
    predicted = equations.with_ones(x).double() @ weights
    return predicted if offset is None else predicted + offset.double()


def _move(target: Tensor, predicted: Tensor, bounds: Bounds) -> Tensor:
    """Return the targets, those beyond a bound moved to the prediction as far as it is beyond the bound too."""
    low, high = bounds
    moved = target
    if low > -math.inf:
        moved = torch.where(target <= low, predicted.clamp(max=low), moved)
    if high < math.inf:
        moved = torch.where(target >= high, predicted.clamp(min=high), moved)
    return moved


def _choose_ridge(halves: list[NormalEquations], prior: Tensor, ridges: tuple[float, ...]) -> float:
    """Fit on each half of the rows and take the ridge with the least error on the other."""
    if len(ridges) == 1 or min(h.rows for h in halves) == 0:
        return ridges[len(ridges) // 2]
    if prior.shape[1] > 1500:  # a factorisation costs as much as the rest; the choice matters little there
        ridges = tuple(sorted(ridges)[1:3]) or ridges
    errors = []
    for ridge in ridges:
        one, other = (halves[i].factor(ridge).solve(halves[i], prior).weights for i in (0, 1))
        errors.append(halves[1].error(one) + halves[0].error(other))
    return ridges[errors.index(min(errors))]


def _errors(
    equations: NormalEquations,
    rows: Iterator[Rows],
    candidates: tuple[Tensor, ...],
    bounds: Bounds | None,
    *,
    shared: bool = True,
) -> tuple[float, ...]:
    """Return each candidate's relative squared error of the clipped output; `shared` rows are each process's own."""
    low, high = bounds or (-math.inf, math.inf)
    wrong = [0.0] * len(candidates)  # in float64, as all that is added up here
    power = 0.0
    for x, target, offset, _ in rows:
        wanted = target.double().clamp(low, high)
        power += float((wanted**2).sum())
        for i, weights in enumerate(candidates):
            wrong[i] += float(((_predict(equations, x, weights, offset).clamp(low, high) - wanted) ** 2).sum())
    sums = torch.tensor([power, *wrong], dtype=torch.float64)
    if shared:
        summed(sums)
    power, *wrong = sums.tolist()
    return tuple(w / max(power, 1e-30) for w in wrong)


def _fit_dual(
    rows: Rows, prior: Tensor, every: int, *, bias: bool, bounds: Bounds | None, ridge: float, rounds: int
) -> Fit:
    x, target, offset, _ = rows
    equations = NormalEquations(x.shape[0], 0, 0, bias=bias)  # only for its column of ones
    moved = target
    factor = DualFactor.of(x, ridge, bias=bias)
    for i in range(1 + (rounds if bounds is not None else 0)):
        solution = factor.solve(moved if offset is None else moved - offset, prior)
        if bounds is not None and i < rounds:
            moved = _move(target, _predict(equations, x, solution.weights, offset), bounds)
    before, after = _errors(equations, iter([rows]), (prior, solution.weights), bounds, shared=False)
    wide = factor.rows[:, :, : x.shape[2]]
    mean = wide.mean(1)
    # the rows stand for their F x F products, which would be larger
    return Fit(solution, mean, wide / math.sqrt(x.shape[1]), True, x.shape[1], before, after, every)

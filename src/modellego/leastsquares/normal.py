"""Normal equations of ridge regressions towards given weights: accumulated block by block, solved safely in float64."""

from dataclasses import dataclass

import torch
from torch import Tensor

from modellego.distributed import summed

BLOCK = 4096  # rows multiplied at once
STRIP = 512  # features whose products with those behind them are worked out at once
JITTERS = (0.0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)


@dataclass(frozen=True)
class Solution:
    """Fitted weights, float64 `[groups, F, Q]`; the ridge and the jitter that were used."""

    weights: Tensor
    ridge: float
    jitter: float


def add_products(total: Tensor, rows: Tensor) -> None:
    """Add `X'X` of rows `[groups, M, F]` to `total` `[groups, F, F]` float64, in place.

    Multiplied in float64: what float32 would round away here, a nearly singular system magnifies a thousandfold in the
    weights, other digits for each number of threads or size of batch. One half is the mirror image of the other.

    >>> total = torch.zeros(1, 2, 2, dtype=torch.float64)
    >>> add_products(total, torch.tensor([[[1.0, 2.0], [3.0, 0.0]]]))
    >>> total
    tensor([[[10.,  2.],
             [ 2.,  4.]]], dtype=torch.float64)
    """
    wide = rows.double()
    features = wide.shape[2]
    for start in range(0, features, STRIP):
        stop = min(start + STRIP, features)
        strip = wide[:, :, start:stop].transpose(1, 2) @ wide[:, :, start:]
        total[:, start:stop, start:] += strip
        total[:, stop:, start:stop] += strip[:, :, stop - start :].transpose(1, 2)


class NormalEquations:
    """Sums `X'X` and `X'Y` over rows, group by group; memory is `groups * F * (F + Q)` float64 whatever the rows.

    With `bias`, a column of ones is understood at the end of X.

    >>> equations = NormalEquations(1, 2, 1, bias=True)
    >>> x = torch.tensor([[0., 0.], [1., 0.], [0., 1.], [2., 1.]])
    >>> equations.add(x[None], x.sum(1)[None, :, None] + 3)
    >>> solution = equations.solve(torch.zeros(1, 3, 1, dtype=torch.float64), ridge=1e-9)
    >>> [round(v, 4) for v in solution.weights.flatten().tolist()]
    [1.0, 1.0, 3.0]
    """

    def __init__(self, groups: int, features: int, outputs: int, *, bias: bool) -> None:
        size = features + int(bias)
        self.bias = bias
        self.rows = 0
        self.gram = torch.zeros(groups, size, size, dtype=torch.float64)
        self.cross = torch.zeros(groups, size, outputs, dtype=torch.float64)
        self.power = torch.zeros(groups, outputs, dtype=torch.float64)

    def with_ones(self, x: Tensor) -> Tensor:
        """Return the rows with their column of ones, where there is one."""
        return torch.cat([x, x.new_ones(*x.shape[:-1], 1)], -1) if self.bias else x

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add rows `x [groups, M, F]` and what they should give, `y [groups, M, Q]`."""
        self.add_inputs(x)
        self.add_targets(x, y)

    def add_inputs(self, x: Tensor) -> None:
        """Add rows `x [groups, M, F]` to the Gram matrix only."""
        self.rows += x.shape[1]
        for block in torch.split(self.with_ones(x), BLOCK, 1):
            add_products(self.gram, block)

    def add_targets(self, x: Tensor, y: Tensor) -> None:
        """Add rows and targets to the right-hand side only."""
        for block, target in zip(torch.split(self.with_ones(x), BLOCK, 1), torch.split(y, BLOCK, 1), strict=True):
            wide = target.double()
            self.cross += block.double().transpose(1, 2) @ wide
            self.power += (wide**2).sum(1)

    def add_up(self, *, targets_only: bool = False) -> None:
        """Add what all processes have gathered, each of its own images."""
        summed(self.cross, self.power)
        if not targets_only:
            rows = torch.tensor(self.rows)
            summed(self.gram, rows)
            self.rows = int(rows)

    def clear_targets(self) -> None:
        """Forget the right-hand side; the Gram matrix stays."""
        self.cross.zero_()
        self.power.zero_()

    def error(self, weights: Tensor) -> float:
        """Return the sum of squared errors of weights `[groups, F, Q]` on the rows so far."""
        fit = (weights * (self.gram @ weights)).sum((0, 1)) - 2 * (weights * self.cross).sum((0, 1))
        return max(float(fit.sum() + self.power.sum()), 0.0)

    def penalty(self, ridge: float) -> Tensor:
        """Return the ridge's diagonal `[groups, F]`: relative to the features' mean square, the bias near free."""
        diagonal = self.gram.diagonal(dim1=1, dim2=2)
        body = diagonal[:, :-1] if self.bias else diagonal
        level = body.mean(1, keepdim=True).clamp(min=1e-30)
        penalty = (ridge * level).expand_as(diagonal).clone()
        if self.bias:
            penalty[:, -1] = 1e-3 * ridge * diagonal[:, -1]
        return penalty + 1e-9 * level

    def solve(self, prior: Tensor, ridge: float) -> Solution:
        """Return the minimiser of `|XW - Y|^2 + ridge |W - prior|^2` (ridge in units of the features' power)."""
        return self.factor(ridge).solve(self, prior)

    def factor(self, ridge: float) -> "Factor":
        """Factorise `X'X` plus the ridge, with as little jitter as makes it positive definite."""
        penalty = self.penalty(ridge)
        matrix = self.gram + torch.diag_embed(penalty)
        scale = matrix.diagonal(dim1=1, dim2=2).mean(1)[:, None].expand_as(penalty)
        for jitter in JITTERS:
            lower, info = torch.linalg.cholesky_ex(matrix + torch.diag_embed(jitter * scale))
            if not info.any() and torch.isfinite(lower).all():
                return Factor(lower, penalty + jitter * scale, ridge, jitter)
        raise ValueError("the layer's inputs are not finite numbers, so nothing can be fitted on them")


@dataclass(frozen=True)
class Factor:
    """Cholesky factor `[groups, F, F]` of regularised normal equations, and the diagonal that was added."""

    lower: Tensor
    penalty: Tensor
    ridge: float
    jitter: float

    def solve(self, equations: NormalEquations, prior: Tensor) -> Solution:
        """Solve for the right-hand side the equations hold now."""
        right = equations.cross + self.penalty[:, :, None] * prior
        return Solution(torch.cholesky_solve(right, self.lower), self.ridge, self.jitter)


def solve_dual(x: Tensor, y: Tensor, prior: Tensor, ridge: float, *, bias: bool) -> Solution:
    """Solve the same problem from rows `x [groups, M, F]`, `y [groups, M, Q]` with an M x M system (for M < F).

    Same result as `NormalEquations.solve`; `prior` is float64 `[groups, F (+ 1), Q]`.

    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.rand(1, 5, 8, generator=g), torch.rand(1, 5, 2, generator=g)
    >>> equations = NormalEquations(1, 8, 2, bias=True)
    >>> equations.add(x, y)
    >>> prior = torch.ones(1, 9, 2, dtype=torch.float64)
    >>> a, b = equations.solve(prior, 0.1).weights, solve_dual(x, y, prior, 0.1, bias=True).weights
    >>> torch.allclose(a, b, atol=1e-5)
    True
    """
    return DualFactor.of(x, ridge, bias=bias).solve(y, prior)


@dataclass(frozen=True)
class DualFactor:
    """Rows in float64 `[groups, M, F (+ 1)]`, their penalty, and the Cholesky factor of their M x M system."""

    rows: Tensor
    penalty: Tensor
    lower: Tensor
    ridge: float
    jitter: float

    @classmethod
    def of(cls, x: Tensor, ridge: float, *, bias: bool) -> "DualFactor":
        """Factorise the system of rows `x [groups, M, F]`, with as little jitter as makes it positive definite."""
        rows = x.double()
        if bias:
            rows = torch.cat([rows, rows.new_ones(*rows.shape[:-1], 1)], -1)
        power = (rows**2).sum(1)
        body = power[:, :-1] if bias else power
        level = body.mean(1, keepdim=True).clamp(min=1e-30)
        penalty = (ridge * level).expand_as(power).clone()
        if bias:
            penalty[:, -1] = 1e-3 * ridge * power[:, -1]
        penalty = penalty + 1e-9 * level
        kernel = (rows / penalty[:, None, :]) @ rows.transpose(1, 2)
        for jitter in JITTERS:
            eye = torch.eye(kernel.shape[1], dtype=kernel.dtype)
            lower, info = torch.linalg.cholesky_ex(kernel + (1 + jitter) * eye)
            if not info.any() and torch.isfinite(lower).all():
                return cls(rows, penalty, lower, ridge, jitter)
        raise ValueError("the layer's inputs are not finite numbers, so nothing can be fitted on them")

    def solve(self, y: Tensor, prior: Tensor) -> Solution:
        """Solve for targets `y [groups, M, Q]`."""
        missing = y.double() - self.rows @ prior
        step = self.rows.transpose(1, 2) @ torch.cholesky_solve(missing, self.lower)
        return Solution(prior + step / self.penalty[:, :, None], self.ridge, self.jitter)

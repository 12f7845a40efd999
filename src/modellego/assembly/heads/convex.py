"""The convex head: multinomial logistic regression on all bricks' columns, anchored at the concatenated head."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.assembly.heads.minimum import minimum
from modellego.assembly.heads.rows import Anchor, Rows

_SHIFT = 1e-2  # the penalties of shifts and of scales: weak, there to make the optimum unique
_SCALE = 1e-2
_STRIDE = 3.0  # shifts are optimised in units of this many logits


@dataclass(frozen=True)
class Penalty:
    """Ridge penalties, per unit of standardised column: of the bricks' `gate` vectors and of single classes' `rows`."""

    gate: float
    rows: float


@dataclass(frozen=True)
class Terms:
    """What is added to the anchor, in standardised columns.

    Logits = scale[k] z + columns (rows + gate[k])' + shift, for a class of brick k with anchor logit z: `gate` float
    [K, F] speaks for all classes of a brick together ("is this one of mine?"), `rows` float [L, F] for single classes;
    `scale` [K] is the bricks' sharpness, `level` [K] and `shift` [L] are constants.
    """

    rows: Tensor
    gate: Tensor
    level: Tensor
    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Problem:
    """Rows made ready to fit: standardised columns [N, F], anchor logits [N, L], weights per row, who owns what.

    All in float64: a fit stops before it is at the optimum, and in float32 where it stops would depend on the number of
    threads and on the size of the batches that the columns come from.
    """

    columns: Tensor
    logits: Tensor
    wanted: Tensor  # float64 [L, labels], 1 where a column of the logits counts for a label
    labels: Tensor
    weights: Tensor
    mean: Tensor
    deviation: Tensor
    gram: Tensor  # float64 [F, F], weighted second moments of the columns
    anchor: Anchor

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues [F] and eigenvectors [F, F] of the Gram matrix, worked out once for all penalties."""
        values, vectors = torch.linalg.eigh(self.gram)
        return values, vectors


def class_weights(labels: Tensor, classes: int, balance: bool) -> Tensor:
    """Return a weight per row, float64, summing to 1: equal for all classes if `balance`, else for all rows.

    >>> class_weights(torch.tensor([0, 0, 1]), 2, balance=True)
    tensor([0.2500, 0.2500, 0.5000], dtype=torch.float64)
    """
    if not balance:
        return torch.full((len(labels),), 1.0 / len(labels), dtype=torch.float64)
    counts = torch.bincount(labels, minlength=classes)
    return (1.0 / counts.clamp(min=1).double())[labels] / int((counts > 0).sum())


def groups_matrix(groups: Sequence[Sequence[int]] | None, classes: int) -> Tensor:
    """Return which logits count for which label, float [classes, labels]; without groups each for itself.

    >>> groups_matrix([[0, 2], [1]], 3).tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    if groups is None:
        return torch.eye(classes)
    wanted = torch.zeros(classes, len(groups))
    for label, group in enumerate(groups):
        wanted[list(group), label] = 1.0
    return wanted


def make_problem(
    rows: Rows, anchor: Anchor, *, balance: bool = True, groups: Sequence[Sequence[int]] | None = None
) -> Problem:
    """Standardise the columns of `rows` and weigh its rows."""
    wanted = groups_matrix(groups, len(anchor.bias)).double()
    weights = class_weights(rows.labels, wanted.shape[1], balance)
    given = rows.columns.double()
    mean = (given * weights[:, None]).sum(0)
    centred = given - mean
    deviation = (centred.square() * weights[:, None]).sum(0).sqrt()
    deviation = deviation + 1e-6 + 1e-3 * deviation.mean()  # a column that hardly varies says nothing
    columns = centred / deviation
    gram = (columns * weights[:, None]).T @ columns
    return Problem(columns, anchor.logits(given), wanted, rows.labels, weights, mean, deviation, gram, anchor)


def neutral(problem: Problem) -> Terms:
    """Return the terms that leave the concatenated head as it is."""
    (classes, bricks), width = (len(problem.anchor.bias), problem.anchor.bricks), problem.columns.shape[1]
    zeros = problem.columns.new_zeros
    return Terms(zeros(classes, width), zeros(bricks, width), zeros(bricks), zeros(bricks) + 1, zeros(classes))


def as_linear(terms: Terms, problem: Problem) -> tuple[Tensor, Tensor]:
    """Return the fitted head as one linear layer over the bricks' columns: weight float64 [L, F] and bias [L]."""
    anchor, own = problem.anchor, problem.anchor.brick_of_class
    scale = terms.scale[own]
    added = (terms.rows + terms.gate[own]) / problem.deviation
    bias = anchor.bias * scale + terms.shift + terms.level[own] - added @ problem.mean
    return anchor.weight * scale[:, None] + added, bias


def _preconditioner(problem: Problem, curvature: float, penalty: float) -> tuple[Tensor, Tensor]:
    """Return Q and its inverse, with Q Q' the inverse of a bound on the Hessian of one row of weights."""
    values, vectors = problem.spectrum
    root = (curvature * values.clamp(min=0) + 2 * penalty).sqrt()
    return vectors / root, vectors * root


def fit_terms(problem: Problem, penalty: Penalty, start: Terms | None = None, iterations: int = 25) -> Terms:
    """Minimise the weighted cross-entropy plus the ridge penalties over all terms, from `start`.

    Preconditioned by the Gram matrix of the columns, so that few steps of L-BFGS do: the loss's Hessian in a row of
    weights is at most p (1 - p) times the Gram matrix. Deterministic; no state of the caller's is changed.

    Source: multinomial logistic regression with a ridge penalty towards a given head (Cox 1958; Le Cessie and Van
    Houwelingen 1992); L-BFGS-B from scipy.
    """
    start = start or neutral(problem)
    own = problem.anchor.brick_of_class
    (classes, width), bricks = start.rows.shape, len(start.gate)
    rows_q, rows_inverse = _preconditioner(problem, 1.0 / classes, penalty.rows)
    gate_q, gate_inverse = _preconditioner(problem, 0.25, penalty.gate)
    sizes = [classes * width, bricks * width, bricks, bricks, classes]

    by_brick = (own == torch.arange(bricks)[:, None]).double()

    def unpack(vector: NDArray[np.float64]) -> Terms:
        rows, gate, level, scale, shift = torch.split_with_sizes(torch.from_numpy(vector), sizes)
        return Terms(
            rows.view(classes, width) @ rows_q.T, gate.view(bricks, width) @ gate_q.T, level, scale, shift * _STRIDE
        )

    def pack(rows: Tensor, gate: Tensor, rest: Terms, stride: float) -> NDArray[np.float64]:
        parts = [rows.flatten(), gate.flatten(), rest.level, rest.scale, rest.shift * stride]
        return torch.cat(parts).numpy()

    def objective(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        terms = unpack(vector)
        loss, slope = _loss(problem, terms)
        value = (
            loss
            + penalty.rows * float(terms.rows.square().sum())
            + penalty.gate * float(terms.gate.square().sum())
            + _SHIFT * float(terms.shift.square().sum())
            + _SCALE * float((terms.scale - 1).square().sum())
        )
        into_rows = slope.T @ problem.columns
        gradient = Terms(
            into_rows + 2 * penalty.rows * terms.rows,
            by_brick @ into_rows + 2 * penalty.gate * terms.gate,
            by_brick @ slope.sum(0),
            by_brick @ (slope * problem.logits).sum(0) + 2 * _SCALE * (terms.scale - 1),
            slope.sum(0) + 2 * _SHIFT * terms.shift,
        )
        return value, pack(gradient.rows @ rows_q, gradient.gate @ gate_q, gradient, _STRIDE)

    # Q = V / root, so the inverse of `x = y Q'` is `y = x (V root)`.
    first = pack(start.rows @ rows_inverse, start.gate @ gate_inverse, start, 1 / _STRIDE)
    return unpack(minimum(objective, first, maxiter=iterations, maxcor=10, ftol=1e-6, gtol=1e-6))


def _loss(problem: Problem, terms: Terms) -> tuple[float, Tensor]:
    """Return the weighted cross-entropy and its slope in the logits, float64 [N, L]."""
    own = problem.anchor.brick_of_class
    added = problem.columns @ (terms.rows + terms.gate[own]).T
    logits = torch.addcmul(added, problem.logits, terms.scale[own]) + (terms.shift + terms.level[own])
    return slope_of(logits, problem.labels, problem.weights, problem.wanted)


def slope_of(logits: Tensor, labels: Tensor, weights: Tensor, wanted: Tensor) -> tuple[float, Tensor]:
    """Return the weighted cross-entropy of logits [N, L] and its slope in them, float [N, L].

    `wanted` [L, labels] says which logits count for a label: their probabilities add.

    >>> loss, slope = slope_of(torch.zeros(1, 2), torch.tensor([0]), torch.ones(1), torch.eye(2))
    >>> round(loss, 4), slope.tolist()
    (0.6931, [[-0.5, 0.5]])
    """
    given = logits.log_softmax(1)
    if plain(wanted):
        picked = given.gather(1, labels[:, None])[:, 0]
        slope = given.exp_()
        slope.scatter_add_(1, labels[:, None], torch.full_like(labels, -1.0, dtype=slope.dtype)[:, None])
    else:
        outside = wanted.T[labels] == 0
        picked = given.masked_fill(outside, -torch.inf).logsumexp(1)
        slope = given.exp_() - logits.masked_fill(outside, -torch.inf).softmax(1)
    return -float(weights.double() @ picked.double()), slope * weights[:, None]


def plain(wanted: Tensor) -> bool:
    """Return whether each label has one logit, its own.

    >>> plain(torch.eye(2)), plain(torch.ones(2, 1))
    (True, False)
    """
    return wanted.shape[0] == wanted.shape[1] and bool((wanted.diagonal() == 1).all())

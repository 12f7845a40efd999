"""The affine calibration: one scale and one shift per class, fitted to the concatenated logits."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.assembly.heads.convex import class_weights, groups_matrix, slope_of
from modellego.assembly.heads.fitted import Affine
from modellego.assembly.heads.minimum import minimum
from modellego.assembly.heads.rows import Anchor, Rows
from modellego.assembly.heads.select import CONCATENATION, FOLDS, choose, cross_validate, make_report

PENALTIES = (1.0, 0.1, 0.01, 0.001)
_BRICK = 1e-3  # of what all classes of a brick share: weak, there to make the optimum unique


def fit_affine(
    rows: Rows,
    anchor: Anchor,
    *,
    penalties: Sequence[float] = PENALTIES,
    folds: int = FOLDS,
    balance: bool = True,
    groups: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
) -> Affine:
    """Return a scale and a shift per class that make the bricks' logits comparable, their penalty cross-validated.

    A class's scale and shift are its brick's plus its own part, and only the latter is held small by the penalty: with
    a strong one this is temperature scaling, a temperature and a shift per brick. Arguments as for `fit_head`; the
    concatenation is kept where nothing beats it on held-out calibration images.

    Source: vector scaling (Guo et al. 2017), shrunk towards one temperature per brick.

    >>> from modellego.assembly.heads.rows import concatenated_head, make_rows
    >>> logits = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    >>> anchor = concatenated_head([(torch.eye(2), torch.zeros(2))] * 2)
    >>> rows = make_rows([[logits[:, :2], 9 * logits[:, 2:]]], logits.argmax(1))
    >>> affine = fit_affine(rows, anchor)
    >>> bool(affine.scale[:2].min() > affine.scale[2:].max()), affine.report.kept_concatenation
    (True, False)
    """
    began = time.perf_counter()

    def solve(part: Rows, penalty: float) -> tuple[Tensor, Tensor]:
        wanted = groups_matrix(groups, len(anchor.bias)).double()
        weights = class_weights(part.labels, wanted.shape[1], balance)
        return _solve(
            anchor.logits(part.columns.double()), part.labels, weights, wanted, anchor.brick_of_class, penalty
        )

    def along(part: Rows) -> Iterator[tuple[str, Callable[[Rows], Tensor]]]:
        for penalty in penalties:
            scale, shift = solve(part, penalty)
            yield f"{penalty:g}", lambda r, a=scale, b=shift: anchor.logits(r.columns.double()) * a + b  # type: ignore[misc]

    candidates = cross_validate(rows, anchor, along, folds=folds, groups=groups, seed=seed)
    chosen = choose(candidates)
    scale, shift = torch.ones(len(anchor.bias)), torch.zeros(len(anchor.bias))
    if chosen.name != CONCATENATION:
        scale, shift = solve(rows, float(chosen.name))
    return Affine(scale.float(), shift.float(), make_report(rows, candidates, chosen, time.perf_counter() - began))


def _solve(
    logits: Tensor, labels: Tensor, weights: Tensor, wanted: Tensor, brick_of_class: Tensor, penalty: float
) -> tuple[Tensor, Tensor]:
    """Minimise the weighted cross-entropy over scales and shifts of bricks and classes; return scale, shift [L]."""
    classes, bricks = logits.shape[1], int(brick_of_class.max()) + 1
    unit = float(logits.std()) + 1e-6  # optimise in units in which a step is of one size everywhere
    scaled = logits / unit
    # One matrix tells of each class its brick's and its own number; the penalty is on all but weak on the brick's.
    members = torch.zeros(bricks + classes, classes, dtype=torch.float64)
    members[brick_of_class, torch.arange(classes)] = 1.0
    members[bricks:] = torch.eye(classes)
    ridge = torch.full((2, bricks + classes), penalty, dtype=torch.float64)
    ridge[:, :bricks] = _BRICK

    def objective(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        numbers = torch.from_numpy(vector).view(2, -1)
        scale, shift = numbers @ members
        loss, slope = slope_of(scaled * (scale + unit) + shift, labels, weights, wanted)
        into = torch.stack([(slope * scaled).sum(0), slope.sum(0)]) @ members.T + 2 * ridge * numbers
        return loss + float((ridge * numbers.square()).sum()), into.flatten().numpy()

    found = minimum(objective, np.zeros(2 * (bricks + classes)), maxiter=100, ftol=1e-7, gtol=1e-6)
    scale, shift = torch.from_numpy(found).view(2, -1) @ members
    return 1 + scale / unit, shift

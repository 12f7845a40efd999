"""Choosing a calibration: cross-validation on the calibration images alone, and never below plain concatenation."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from modellego.assembly.heads.convex import (
    Penalty,
    Problem,
    Terms,
    as_linear,
    fit_terms,
    groups_matrix,
    make_problem,
    neutral,
    plain,
)
from modellego.assembly.heads.fitted import CalibratedHead, CalibrationReport, Candidate
from modellego.assembly.heads.rows import Anchor, Rows

FOLDS = 3
PATH = tuple(Penalty(gate, rows) for gate in (0.1, 0.01, 0.002) for rows in (1.0, 0.1, 0.03, 0.01))
CONCATENATION = "concatenation"

Fitter = Callable[[Rows], Iterator[tuple[str, Callable[[Rows], Tensor]]]]


def fit_head(
    rows: Rows,
    anchor: Anchor,
    *,
    penalties: Sequence[Penalty] = PATH,
    folds: int = FOLDS,
    balance: bool = True,
    groups: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
) -> CalibratedHead:
    """Return a linear head over all bricks' columns, anchored at the concatenated head, its penalties cross-validated.

    Args:
        rows: the bricks' columns on views of the calibration images, with labels.
        anchor: the bricks' own heads, side by side.
        penalties: what is tried, from strong to weak.
        folds: of the cross-validation; all views of an image are in one fold.
        balance: every class counts alike, else every image.
        groups: which logits mean the same class (label by label), where several bricks know it.
        seed: of the folds.

    The concatenation is kept where no candidate is at least as accurate on held-out unaltered images and better over
    all held-out views.

    >>> from modellego.assembly.heads.rows import concatenated_head, make_rows
    >>> columns = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    >>> anchor = concatenated_head([(torch.eye(2), torch.zeros(2))] * 2)
    >>> rows = make_rows([[columns[:, :2], columns[:, 2:]]], (columns * torch.tensor([1, 1, 9, 9])).argmax(1))
    >>> head = fit_head(rows, anchor)
    >>> head.weight.shape, head.report.kept_concatenation
    (torch.Size([4, 4]), False)
    """
    began = time.perf_counter()

    def along(part: Rows) -> Iterator[tuple[str, Callable[[Rows], Tensor]]]:
        problem = make_problem(part, anchor, balance=balance, groups=groups)
        for penalty, terms in _path(problem, penalties):
            weight, bias = as_linear(terms, problem)
            yield _name(penalty), lambda r, w=weight, b=bias: r.columns.double() @ w.T + b  # type: ignore[misc]

    candidates = cross_validate(rows, anchor, along, folds=folds, groups=groups, seed=seed)
    chosen = choose(candidates)
    weight, bias = anchor.weight, anchor.bias
    if chosen.name != CONCATENATION:
        problem = make_problem(rows, anchor, balance=balance, groups=groups)
        penalty = next(p for p in penalties if _name(p) == chosen.name)
        weight, bias = as_linear(fit_terms(problem, penalty), problem)
    return CalibratedHead(
        weight.float(), bias.float(), make_report(rows, candidates, chosen, time.perf_counter() - began)
    )


def _name(penalty: Penalty) -> str:
    return f"gate {penalty.gate:g}, rows {penalty.rows:g}"


def _path(problem: Problem, penalties: Iterable[Penalty]) -> Iterator[tuple[Penalty, Terms]]:
    """Fit along the penalties, each from the one before; a new gate penalty starts where the last one started."""
    begin = neutral(problem)
    for _, group in groupby(penalties, key=lambda p: p.gate):
        terms = begin
        for i, penalty in enumerate(group):
            terms = fit_terms(problem, penalty, terms, iterations=15 if i == 0 else 8)
            begin = terms if i == 0 else begin
            yield penalty, terms


def cross_validate(
    rows: Rows,
    anchor: Anchor,
    fitter: Fitter,
    *,
    folds: int,
    groups: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
) -> tuple[Candidate, ...]:
    """Return the held-out accuracies of the concatenation and of everything `fitter` yields, in its order.

    `fitter` gets the rows of all folds but one and yields names with functions from rows to logits [N, L].
    """
    wanted = groups_matrix(groups, len(anchor.bias))
    fold = fold_of(rows, folds, seed)
    right: dict[str, Tensor] = {CONCATENATION: _right(anchor.logits(rows.columns.double()), rows.labels, wanted)}
    for number in range(int(fold.max()) + 1 if len(fold) else 0):
        out = fold == number
        held_out = rows.where(out)
        for name, logits_of in fitter(rows.where(~out)):
            hits = right.setdefault(name, torch.zeros(len(rows), dtype=torch.bool))
            hits[out] = _right(logits_of(held_out), held_out.labels, wanted)
    return tuple(Candidate(name, *balanced_accuracy(hits, rows)) for name, hits in right.items())


def _right(logits: Tensor, labels: Tensor, wanted: Tensor) -> Tensor:
    """Return which rows are classified correctly, bool [N]; several logits of one class add their probabilities."""
    if not plain(wanted):
        logits = logits.double().softmax(1) @ wanted.double()
    return logits.argmax(1) == labels


def fold_of(rows: Rows, folds: int, seed: int) -> Tensor:
    """Deal the images out to folds, class by class; int64 [N], all views of an image in one fold.

    >>> from modellego.assembly.heads.rows import make_rows
    >>> rows = make_rows([[torch.zeros(4, 1)]] * 2, torch.tensor([0, 0, 1, 1]))
    >>> fold_of(rows, 2, seed=0).view(2, 4).sort(1).values.tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    random = np.random.default_rng(seed)
    images, first, which = np.unique(rows.images.numpy(), return_index=True, return_inverse=True)
    labels = rows.labels.numpy()[first]
    order = random.permutation(len(images))
    order = order[np.argsort(labels[order], kind="stable")]
    dealt = np.empty(len(images), dtype=np.int64)
    dealt[order] = np.arange(len(images)) % folds
    return torch.from_numpy(dealt[which])


def balanced_accuracy(hits: Tensor, rows: Rows) -> tuple[float, float]:
    """Return the class-balanced accuracy on view 0 and its mean over all views, both 0 to 1."""
    classes, views = int(rows.labels.max()) + 1, int(rows.views.max()) + 1
    cell = rows.views * classes + rows.labels
    seen = torch.bincount(cell, minlength=classes * views).view(views, classes)
    good = torch.bincount(cell, hits.double(), minlength=classes * views).view(views, classes)
    by_view = (good / seen.clamp(min=1)).sum(1) / (seen > 0).sum(1).clamp(min=1)
    return float(by_view[0]), float(by_view.mean())


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """Return the best candidate over all views that does not fall below the first, the concatenation, on plain images.

    >>> choose([Candidate("concatenation", 0.8, 0.6), Candidate("a", 0.7, 0.9), Candidate("b", 0.8, 0.7)]).name
    'b'
    """
    base = candidates[0]
    fit = [c for c in candidates[1:] if c.plain >= base.plain and c.views > base.views]
    return max(fit, key=lambda c: c.views, default=base)


def make_report(rows: Rows, candidates: Sequence[Candidate], chosen: Candidate, seconds: float) -> CalibrationReport:
    """Gather what a calibration has to say of itself."""
    images, views = len(np.unique(rows.images.numpy())), int(rows.views.max()) + 1
    return CalibrationReport(chosen.name, chosen is candidates[0], tuple(candidates), images, views, seconds)

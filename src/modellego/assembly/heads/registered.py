"""Calibrations by name: heads that are fitted by functions from outside the package (docs/extending.md)."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from modellego.assembly.heads.fitted import CalibratedHead
from modellego.assembly.heads.rows import Anchor, Rows
from modellego.assembly.heads.select import CONCATENATION, FOLDS, choose, cross_validate, make_report
from modellego.errors import AssemblyError
from modellego.registry import Registry

Groups = Sequence[Sequence[int]] | None
FitHead = Callable[[Rows, Anchor, Groups], tuple[Tensor, Tensor]]
Reads = Literal["features", "logits"]


@dataclass(frozen=True)
class Calibrator:
    """A function that fits a head, and what of the bricks it reads."""

    fit: FitHead
    reads: Reads


CALIBRATIONS = Registry[Calibrator]("calibration", AssemblyError)


def calibration(name: str, reads: Reads = "features") -> Callable[[FitHead], FitHead]:
    """Register a calibration: `fit(rows, anchor, groups)` returns weight float [L, F] and bias [L] of a common head.

    `rows` and `anchor` are as in `fit_head`: the columns are what the bricks' last layers read (`reads="features"`) or
    their logits; `groups` says which logits mean the same class, or is None. The head is kept only where held-out
    images say that it beats the bricks' own heads side by side.

    >>> @calibration("unchanged")
    ... def unchanged(rows, anchor, groups):
    ...     return anchor.weight, anchor.bias
    >>> "unchanged" in CALIBRATIONS
    True
    """

    def enter(fit: FitHead) -> FitHead:
        CALIBRATIONS.enter(name, Calibrator(fit, reads))
        return fit

    return enter


def fit_registered(name: str, rows: Rows, anchor: Anchor, *, groups: Groups = None, seed: int = 0) -> CalibratedHead:
    """Fit a registered calibration, cross-validated against the concatenated head, which is kept unless it is beaten.

    Raises:
        AssemblyError: there is none of that name, or what it returns is no head.
    """
    fit, began = CALIBRATIONS.find(name).fit, time.perf_counter()

    def fitted(part: Rows) -> tuple[Tensor, Tensor]:
        return checked_head(name, fit(part, anchor, groups), anchor)

    def fitter(part: Rows) -> Iterator[tuple[str, Callable[[Rows], Tensor]]]:
        weight, bias = fitted(part)
        yield name, lambda held: held.columns @ weight.T + bias

    candidates = cross_validate(rows, anchor, fitter, folds=FOLDS, groups=groups, seed=seed)
    chosen = choose(candidates)
    weight, bias = (anchor.weight, anchor.bias) if chosen.name == CONCATENATION else fitted(rows)
    return CalibratedHead(weight, bias, make_report(rows, candidates, chosen, time.perf_counter() - began))


def checked_head(name: str, found: object, anchor: Anchor) -> tuple[Tensor, Tensor]:
    """Return what a calibration gave as weight and bias.

    Raises:
        AssemblyError: these are not two finite tensors of the anchor's shapes.
    """
    logits, columns = anchor.weight.shape
    needed = f"the calibration {name!r} must return weight [{logits}, {columns}] and bias [{logits}], finite floats"
    if not (isinstance(found, tuple) and len(found) == 2 and all(isinstance(part, Tensor) for part in found)):
        raise AssemblyError(f"{needed}, not {type(found).__name__}")
    weight, bias = found[0].detach(), found[1].detach()
    if weight.shape != anchor.weight.shape or bias.shape != anchor.bias.shape:
        raise AssemblyError(f"{needed}, not {list(weight.shape)} and {list(bias.shape)}")
    if not (weight.is_floating_point() and bool(weight.isfinite().all()) and bool(bias.isfinite().all())):
        raise AssemblyError(f"{needed}: some are not")
    return weight.float(), bias.float()

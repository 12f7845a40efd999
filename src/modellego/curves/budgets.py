"""The curve of accuracy against MACs: cut, refit and scored at several budgets, from one ranking."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modellego.brick import Brick
from modellego.contribution.relevance import Thresholds
from modellego.curves.baseline import baseline
from modellego.data import DataLike, MappingLike
from modellego.disassembly.choose import Choice, draw_calibration
from modellego.disassembly.job import prepare
from modellego.disassembly.options import REFIT_IMAGES
from modellego.disassembly.sampling import Samples
from modellego.disassembly.verb import cut_out, make_curve
from modellego.drawing.cells import html_table
from modellego.drawing.figure import as_png, new_figure
from modellego.drawing.words import share as per_cent
from modellego.locate import meant
from modellego.progress import Progress, silent

POINTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


@dataclass(frozen=True)
class CurvePoint:
    """One brick on the curve; shares of the source's MACs and parameters, accuracies as fractions."""

    wanted: float
    macs: float
    parameters: float
    accuracy: float | None
    base_restricted: float | None


class AccuracyCurve(list[CurvePoint]):
    """The points of one curve; a notebook shows them as a picture, or as a table without matplotlib."""

    def _repr_png_(self) -> bytes | None:
        return as_png(lambda path: plot_curve(self, path, "Accuracy against MACs"))

    def _repr_html_(self) -> str:
        rows = [[per_cent(p.macs), per_cent(p.parameters), per_cent(p.accuracy)] for p in self]
        return html_table("Accuracy against MACs", rows, ["MACs, %", "parameters, %", "accuracy, %"])


def curve(
    model: Brick,
    data: DataLike,
    classes: str | Sequence[str | int],
    *,
    points: Sequence[float] = POINTS,
    criterion: str | None = None,
    round_to: int = 1,
    refit_images: int = REFIT_IMAGES,
    thresholds: Thresholds | None = None,
    samples: Samples | None = None,
    mapping: MappingLike | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> AccuracyCurve:
    """Cut a brick at each share of the source's MACs, all from one ranking, and score each on the test part.

    `criterion` is what ranks channels, as in `disassemble`.

    Raises what `disassemble` raises; `CutError` where a share is too small to be reached.
    """
    criterion = meant(criterion, budgeted=True)
    job = prepare(model, data, classes, mapping)
    drawn = draw_calibration(model, job.data.train, job.task, refit_images or REFIT_IMAGES, seed)
    ranking = make_curve(job, drawn, criterion, thresholds or Thresholds(), samples or Samples(), seed, progress)
    source, inputs = baseline(job), drawn.inputs if refit_images else None
    found = AccuracyCurve()
    with progress("curve", "points") as update:
        for done, share in enumerate(points, 1):
            choice = Choice(ranking.at(macs=share, round_to=round_to))
            brick = cut_out(job, choice, criterion, {"macs": share}, inputs)
            found.append(CurvePoint(share, *source.measure(brick), source.base_restricted))
            update(done, len(points))
    return found


def as_rows(points: Sequence[CurvePoint]) -> list[dict[str, Any]]:
    """Return the points as plain values.

    >>> as_rows([CurvePoint(0.5, 0.49, 0.4, 0.9, 0.95)])[0]["macs"]
    0.49
    """
    return [asdict(p) for p in points]


def plot_curve(points: Sequence[CurvePoint], path: Path, title: str) -> None:
    """Draw accuracy against the share of MACs to a PNG or SVG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    scored = [p for p in points if p.accuracy is not None]
    figure = new_figure((6, 4))
    axes = figure.subplots()
    axes.plot([100 * p.macs for p in scored], [100 * (p.accuracy or 0) for p in scored], "o-", label="brick")
    if scored and scored[0].base_restricted is not None:
        level = 100 * float(np.mean([p.base_restricted or 0 for p in scored]))
        axes.axhline(level, color="grey", linestyle="--", label="base restricted")
    axes.set(xlabel="MACs, % of the source", ylabel="accuracy, %", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)

"""Alpha/beta curves: accuracy, MACs and parameters as each threshold of the paper grows, the others held."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modellego.brick import Brick
from modellego.contribution.relevance import Thresholds, plan_flow
from modellego.contribution.stream import class_sums
from modellego.curves.baseline import baseline
from modellego.data import DataLike, MappingLike
from modellego.disassembly.choose import by_sums, draw_calibration
from modellego.disassembly.job import prepare
from modellego.disassembly.sampling import Samples, sample_batches
from modellego.disassembly.verb import cut_out
from modellego.drawing.figure import as_png, new_figure
from modellego.drawing.palette import LIGHT
from modellego.errors import LegoError
from modellego.progress import Progress, silent

THRESHOLDS = ("conv_alpha", "conv_beta", "linear_alpha", "linear_beta")
VALUES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)


@dataclass(frozen=True)
class ThresholdPoint:
    """One brick on a curve: which threshold had which value, shares of the source's MACs and parameters, accuracy."""

    threshold: str
    value: float
    macs: float
    parameters: float
    accuracy: float | None


@dataclass(frozen=True)
class ThresholdCurves:
    """All points, and the uncut source on the same images: with all its logits, and with the task's."""

    points: tuple[ThresholdPoint, ...]
    base: float | None
    base_restricted: float | None

    def _repr_png_(self) -> bytes | None:
        return as_png(lambda path: plot_threshold_curves(self, path, "Accuracy and cost over alpha and beta"))


def thresholds(
    model: Brick,
    data: DataLike,
    classes: str | Sequence[str | int],
    *,
    vary: Sequence[str] = THRESHOLDS,
    values: Sequence[float] = VALUES,
    around: Thresholds | None = None,
    refit_images: int = 0,
    samples: Samples | None = None,
    mapping: MappingLike | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> ThresholdCurves:
    """Cut a task at each value of each threshold, all from one contribution pass, and score on the test part.

    Args:
        model: the source.
        data: labelled images in [0,1], or what names them; train serves to choose, test only to score.
        classes: of the task, as in `disassemble`.
        vary: which of `conv_alpha`, `conv_beta`, `linear_alpha`, `linear_beta` are varied, one at a time.
        values: what each takes, in 0..1.
        around: the other thresholds and the rule; by default the paper's.
        refit_images: images per class for the refit of every cut; 0 scores them cut alone, as the paper does.
        samples: from which images contributions are taken.
        mapping: data class name -> class name or index of the model, where names do not meet by themselves.
        seed: of the choice of refit images.
        progress: follows the long parts.

    Raises what `disassemble` raises; `LegoError` for a threshold that does not exist and a value outside 0..1.
    Source: the paper's curves of accuracy, MACs and parameters over alpha and beta.

    >>> from modellego import zoo
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> net = zoo.build("lenet5", 10, channels=1, input_size=8)
    >>> whole = whole_brick(net, Preprocess(1, 8, 8), [str(k) for k in range(10)], "lenet5")
    >>> found = thresholds(whole, "digits", "0-2", vary=["conv_beta"], values=[0, 0.5])
    >>> [(p.value, p.macs <= 1) for p in found.points]
    [(0, True), (0.5, True)]
    """
    _check(vary, values)
    job = prepare(model, data, classes, mapping)
    around, flow = around or Thresholds(), plan_flow(job.network, job.channels)
    batches = sample_batches(job, samples or Samples(), progress, seed)
    with progress("contribution", "classes"):
        sums = tuple(class_sums(job.network, batches, channel_map=job.channels))
    drawn = draw_calibration(model, job.data.train, job.task, refit_images, seed).inputs if refit_images else None
    source, known, points = baseline(job), dict[bytes, tuple[float, float, float | None]](), []
    with progress("curves", "points") as update:
        for name in vary:
            for value in values:
                choice = by_sums(flow, job.channels, sums, replace(around, **{name: value}))  # type: ignore[arg-type]
                mask = choice.keep.tobytes()
                if mask not in known:  # equal cuts are scored once
                    known[mask] = source.measure(cut_out(job, choice, "contribution", {}, drawn))
                points.append(ThresholdPoint(name, value, *known[mask]))
                update(len(points), len(vary) * len(values))
    return ThresholdCurves(tuple(points), source.base, source.base_restricted)


def _check(vary: Sequence[str], values: Sequence[float]) -> None:
    unknown = [name for name in vary if name not in THRESHOLDS]
    if unknown or not vary:
        names = ", ".join(THRESHOLDS)
        raise LegoError(f"there is no threshold {', '.join(unknown) or 'to vary'}: name some of {names}")
    outside = [value for value in values if not 0 <= value <= 1]
    if outside or not values:
        raise LegoError(f"thresholds lie in 0..1, and {outside or 'no value'} was given: write 0,0.2,0.4")


def plot_threshold_curves(found: ThresholdCurves, path: Path, title: str) -> None:
    """Draw accuracy, MACs and parameters over the thresholds to a PNG or SVG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure((11, 3.4))
    panels = figure.subplots(1, 3)
    draw_panels(panels, found.points, found.base_restricted)
    panels[0].legend(fontsize=7)
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def draw_panels(panels: Any, points: Sequence[ThresholdPoint], base_restricted: float | None, title: str = "") -> None:
    """Draw the curves into three axes: accuracy, MACs, parameters, all in per cent."""
    for panel, (key, label) in zip(
        panels, (("accuracy", "accuracy, %"), ("macs", "MACs, %"), ("parameters", "parameters, %")), strict=True
    ):
        for number, name in enumerate(THRESHOLDS):
            mine = [p for p in points if p.threshold == name and getattr(p, key) is not None]
            if mine:
                xs, ys = [p.value for p in mine], [100 * getattr(p, key) for p in mine]
                style = {"marker": "os^D"[number], "ms": 4, "lw": 1.4, "ls": "--" if "linear" in name else "-"}
                panel.plot(xs, ys, label=name.replace("_", " "), color=LIGHT.classes[number], **style)
        if key == "accuracy" and base_restricted is not None:
            panel.axhline(100 * base_restricted, color="grey", lw=1, ls=":", label="base restricted")
        panel.grid(alpha=0.25)
        panel.set_ylim(0, 103)
        panel.set(xlabel="threshold", ylabel=label, title=title)

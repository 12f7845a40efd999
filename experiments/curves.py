"""Curves: accuracy, MACs and parameters as alpha and beta grow, for convolutions and linear layers apart."""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from experiments.frame import plots
from experiments.frame.markdown import percent, share, table
from experiments.frame.page import reproduction
from experiments.frame.registry import CUTTING, Experiment
from experiments.frame.run import Run, source_options
from experiments.study.paper_figures import Task
from experiments.study.sources import some
from experiments.study.subject import Apart, Subject, accuracy, size
from modellego.contribution.relevance import Thresholds
from modellego.curves import THRESHOLDS, VALUES, ThresholdPoint, draw_panels
from modellego.disassembly.verb import cut_out
from modellego.evaluation import restricted

CURVES = (Task("cifar10", "0-2"), Task("cifar100", "0-19"))
SHOWN = (0.0, 0.2, 0.4, 0.6, 0.8)
RULES = ("poster", "back_to_front")
IMAGES = 500
Row = dict[str, Any]


def run(run: Run) -> None:
    """Sweep each threshold with the others at the paper's values; equal cuts are scored once."""
    for task in CURVES:
        sweep = _Sweep(run, task)
        run.row(f"{task.key} base", sweep.base)
        for rule in RULES:
            for axis in THRESHOLDS:
                for value in VALUES:
                    run.row(f"{task.key} {rule} {axis} {value:g}", partial(sweep.point, rule, axis, value))


class _Sweep:
    """One task's contribution pass, and the cuts that have been scored."""

    def __init__(self, run: Run, task: Task) -> None:
        self.subject = cache(lambda: run.subject(task.dataset))
        self.apart = cache(lambda: self.subject().apart(task.classes))
        self.known: dict[bytes, Row] = {}

    def base(self) -> Row:
        subject: Subject = self.subject()
        task = list(self.apart().task)
        images = some(subject.test.select(task), IMAGES)
        places = [int(p) for p in _places(subject, images.where)]
        base, inside = restricted(subject.test_logits[places], task, images.labels)
        whole = size(subject.whole)
        return {"images": len(images), "base": base, "restricted": inside, **whole}

    def point(self, rule: str, axis: str, value: float) -> Row:
        apart: Apart = self.apart()
        thresholds = replace(Thresholds(rule=rule), **{axis: value})  # type: ignore[arg-type]
        choice = apart.choice(thresholds)
        mask = choice.keep.tobytes()
        if mask not in self.known:
            brick = cut_out(apart.job, choice, "contribution", {})
            images = some(self.subject().test.select(apart.task), IMAGES)
            self.known[mask] = {"accuracy": accuracy(brick, images, self.subject().progress), **size(brick)}
        return {"rule": rule, "axis": axis, "value": value, **self.known[mask]}


def _places(subject: Subject, where: Any) -> list[int]:
    """Return where images of the test part stand in it."""
    place = {int(w): i for i, w in enumerate(subject.test.where)}
    return [place[int(w)] for w in where]


def tables(rows: dict[str, Row]) -> str:
    """Return a table per task and rule: accuracy and shares of MACs and parameters at some thresholds."""
    parts = []
    for task in CURVES:
        base = rows.get(f"{task.key} base")
        if base is None:
            continue
        said = f"base {percent(base['base'])}, restricted {percent(base['restricted'])}, {base['images']} test images"
        parts.append(f"**{task.key}**: {said}. Accuracy; share of MACs; share of parameters.")
        lines = []
        for rule in RULES:
            for axis in THRESHOLDS:
                found = [rows.get(f"{task.key} {rule} {axis} {value:g}") for value in SHOWN]
                name = axis.replace("_", " ")
                lines.append([f"{name}, {rule.replace('_', ' ')}", *(_cell(f, base) for f in found)])
        parts.append(table(["threshold, rule", *(f"{v:g}" for v in SHOWN)], lines))
    parts.append(
        "Under the poster's rule alpha decides which kernels are relevant, not which channels: nothing is cut by it "
        "and its curves are flat. Under the published software's rule (back to front) both cut; "
        "at alpha 0 every kernel counts alike, so that the channels' min-max is 0 throughout and the rule finds none."
    )
    return "\n\n".join(parts)


def _cell(row: Row | None, base: Row) -> str:
    if row is None:
        return "–"
    shares = (share(row[k], base[k]) for k in ("macs", "parameters"))
    return f"{percent(row['accuracy'])}; {'; '.join(shares)}"


def _point(row: Row, base: Row) -> ThresholdPoint:
    shares = row["macs"] / base["macs"], row["parameters"] / base["parameters"]
    return ThresholdPoint(row["axis"], row["value"], *shares, row["accuracy"])


def plot(rows: dict[str, Row], folder: Path) -> list[Path]:
    """Draw a figure per task: rules above each other; accuracy, MACs and parameters side by side."""
    files = []
    for task in CURVES:
        base = rows.get(f"{task.key} base")
        if base is None:
            continue
        figure, axes = plots.subplots(len(RULES), 3, (11, 6))
        for line, rule in zip(axes, RULES, strict=True):
            points = [_point(row, base) for key, row in rows.items() if key.startswith(f"{task.key} {rule} ")]
            draw_panels(line, points, base["restricted"], rule.replace("_", " "))
        axes[0][0].legend(fontsize=7)
        figure.suptitle(f"{task.key}: thresholds one at a time, the others at the paper's values")
        files += plots.save(figure, folder / f"curves-{task.dataset}-{task.classes}")
    return files


SHOWS = (
    "shows that MACs and parameters fall as alpha and beta grow, and accuracy with them, convolutions reacting "
    "more than linear layers; its figures are not at hand."
)
DIFFERS = (
    "the source is a published ResNet-20 (or a network trained by the command); each point is scored on "
    f"{IMAGES:,} test images of the task, cut alone, no refit; both rules are shown, the others' thresholds stay at "
    "the paper's values (conv 0.3 and 0.2, linear 0.4 and 0.3)."
)

EXPERIMENT = Experiment(
    title="Accuracy, MACs and parameters as alpha and beta grow",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=(*CUTTING, "curves"),
    plot=plot,
    options=source_options,
)

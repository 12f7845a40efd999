"""The plan of a recipe: its steps, which are finished, and what the others will cost."""

import math
import os
from dataclasses import asdict, dataclass
from typing import Any

import torch

from modellego.assembly.samples import PER_CLASS
from modellego.brick import AnyBrick, Brick, load
from modellego.brick.costs import cost
from modellego.data import Data
from modellego.data.views import VIEWS
from modellego.drawing.cells import html_table
from modellego.drawing.words import count
from modellego.evaluation import latency
from modellego.exporting.verb import CALIBRATION, CHECKED
from modellego.locate import meant
from modellego.recipes.checking import Ready, check
from modellego.recipes.document import ASSEMBLY
from modellego.recipes.steps import Step, open_recipe

_BATCH = 8


@dataclass(frozen=True)
class PlannedStep:
    """One step: what it does, whether it is finished, and what it costs.

    `images` is how many images go through networks (one counts each time), `macs` the multiply-accumulates of that, and
    `seconds` what these take by a measurement of the source on this machine: fitting and decoding come on top. Of a
    finished step `seconds` is what it took.
    """

    name: str
    does: str
    finished: bool
    images: int
    macs: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """The steps of a recipe in the order in which they run."""

    recipe: str
    out: str
    steps: tuple[PlannedStep, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def _repr_html_(self) -> str:
        rows = [
            [s.name, s.does, "finished" if s.finished else "to do", f"{s.images:,}", count(s.macs)] for s in self.steps
        ]
        return html_table(f"{self.recipe} → {self.out}", rows, ["step", "", "", "images", "MACs"])


@dataclass(frozen=True)
class _Size:
    """What one image costs in a model, and how long its MACs take."""

    macs: float
    seconds: float
    classes: int


def plan(path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Plan:
    """Check a recipe and return its steps with their cost, without doing them; replaces nothing.

    Args:
        path: the recipe's file.
        out: the folder that its results would go to; by default the file's name and `-bricks`, in the working
            directory.

    Raises:
        RecipeError: a fault in the recipe, with its line.
    """
    opened = open_recipe(os.fspath(path), None if out is None else os.fspath(out))
    ready = check(opened, force=True)
    sizes: dict[str, _Size] = {}
    return Plan(opened.written.name, str(opened.out), tuple(_planned(ready, step, sizes) for step in ready.steps))


def _planned(ready: Ready, step: Step, sizes: dict[str, _Size]) -> PlannedStep:
    entry = ready.finished.get(step.title)
    own = ASSEMBLY if step.kind == "assembly" else step.name
    if entry is not None:
        if step.kind in ("brick", "assembly"):
            sizes[own] = _measured(load(step.files[0]))
        return PlannedStep(step.title, _does(ready, step), True, 0, 0, entry.seconds)
    if step.kind == "brick":
        images, size, sizes[own] = _brick(ready, step.name)
    elif step.kind == "assembly":
        images, size = _assembly(ready, sizes)
        sizes[own] = size
    else:
        images, size = _use(ready, step, sizes)
    return PlannedStep(step.title, _does(ready, step), False, images, round(images * size.macs), images * size.seconds)


def _brick(ready: Ready, name: str) -> tuple[int, _Size, _Size]:
    """Return how many images go through the source, what one costs, and what the brick will cost at most."""
    job, section = ready.jobs[name], ready.opened.recipe.bricks[name]
    counts = job.data.train.counts[list(job.task)]
    budgeted = any(v is not None for v in (section.budget.macs, section.budget.parameters, section.budget.latency))
    budgeted = budgeted or section.budget.max_drop is not None
    fitted = int(sum(min(section.refit_images, math.ceil(0.8 * n)) for n in counts))
    images = 2 * fitted  # once through the source and once, stage by stage, through the brick
    if meant(section.criterion, budgeted) == "contribution":
        images += int(sum(min(section.candidates or n, n) + min(section.samples, n) for n in counts))
    else:
        images += fitted
    if job.data.test is not None:
        images += 2 * int(job.data.test.counts[list(job.task)].sum())
    size = _measured(job.whole)
    share = section.budget.macs or 1.0
    return images, size, _Size(size.macs * share, size.seconds * share, len(job.task))


def _assembly(ready: Ready, sizes: dict[str, _Size]) -> tuple[int, _Size]:
    recipe = ready.opened.recipe
    assert recipe.assembly is not None
    parts = [sizes.get(name) or _measured(ready.outside[name]) for name in recipe.assembly.bricks]
    size = _Size(sum(p.macs for p in parts), sum(p.seconds for p in parts), sum(p.classes for p in parts))
    calibration = recipe.calibration
    if calibration is None:
        return 0, size
    data = ready.data[calibration.data]
    least = min(calibration.per_class or PER_CLASS, len(data.train))
    images = least * size.classes * (1 + VIEWS) if calibration.by or calibration.reject else 0
    images += least * size.classes if calibration.scale else 0
    return images + (len(data.test) if data.test is not None else 0), size


def _use(ready: Ready, step: Step, sizes: dict[str, _Size]) -> tuple[int, _Size]:
    recipe, number = ready.opened.recipe, int(step.place[1])
    if step.kind == "evaluation":
        scored = recipe.evaluation[number]
        return _scored(ready.data[scored.data]), sizes[scored.model]
    export = recipe.exports[number]
    images = 2 * CHECKED + (CALIBRATION if export.int8 else 0)
    if export.data is not None:
        images += (3 if export.int8 else 2) * _scored(ready.data[export.data])
    return images, sizes[export.model]


def _scored(data: Data) -> int:
    return len(data.test if data.test is not None else data.train)


def _measured(model: AnyBrick) -> _Size:
    leaf = next(m for m in model.modules() if isinstance(m, Brick))
    batch = torch.zeros(_BATCH, *leaf.frame.shape)
    spent = cost(model).macs
    return _Size(spent, latency(model, batch, 2, 1).median / _BATCH, len(model.classes))


def _does(ready: Ready, step: Step) -> str:
    recipe = ready.opened.recipe
    if step.kind == "brick":
        section = recipe.bricks[step.name]
        given = [f"{k} {v:g}" for k, v in section.budget if v is not None and k != "round_to"]
        return f"cut {section.classes} out of {section.source}: {', '.join(given) or 'thresholds'}"
    if step.kind == "assembly":
        assert recipe.assembly is not None
        how = recipe.calibration.by if recipe.calibration is not None else None
        return f"join {', '.join(recipe.assembly.bricks)}; calibrate: {how or 'none'}"
    if step.kind == "evaluation":
        return "score"
    return f"write {step.files[0]}"

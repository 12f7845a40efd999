"""The verbs `run` and `recipe`: make what a recipe says, step by step, and print back the recipe that made a brick."""

import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modellego.assembly import assemble
from modellego.assembly.scoring import scored
from modellego.brick import AnyBrick, load
from modellego.brick.costs import cost
from modellego.disassembly import disassemble
from modellego.drawing.cells import html_table
from modellego.drawing.words import count, share
from modellego.errors import RecipeError
from modellego.evaluation import evaluate
from modellego.exporting import export
from modellego.progress import Progress, silent
from modellego.recipes.checking import Ready, check, request, wanted_classes
from modellego.recipes.steps import Step, open_recipe

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """One step that is finished: whether it was before, how long it took then, what it wrote and what it found."""

    name: str
    reused: bool
    seconds: float
    files: tuple[str, ...]
    result: dict[str, Any]


@dataclass(frozen=True)
class RecipeResult:
    """All steps of a recipe, finished, in the order in which they ran; `out` is the folder of the results."""

    recipe: str
    out: str
    steps: tuple[Done, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def _repr_html_(self) -> str:
        rows = [[s.name, "reused" if s.reused else f"{s.seconds:.1f} s", told(s.result)] for s in self.steps]
        return html_table(f"{self.recipe} → {self.out}", rows)


def run(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
    progress: Progress = silent,
) -> RecipeResult:
    """Make what a recipe says: bricks, the model they are put together to, its scores, and files to run elsewhere.

    The recipe is checked whole before work starts. A step whose fingerprint has not changed since it was finished, and
    whose files are as it left them, is not done again. Each brick keeps the recipe (`recipe(brick)`).

    Args:
        path: the recipe's file; its paths are looked for beside it first.
        out: the folder for the results, made where it is missing; by default the file's name and `-bricks`, in
            the working directory. What was found is kept there in `results.json`.
        force: replace files that other steps, or other versions of the recipe, have made.
        progress: follows the long parts.

    Raises:
        RecipeError: a fault in the recipe, with its line.
        LegoError: what a verb finds out only at work.
    """
    opened = open_recipe(os.fspath(path), None if out is None else os.fspath(out))
    ready = check(opened, force)
    try:
        opened.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"the folder {opened.out} cannot be made: {error.strerror}") from None
    found = []
    for step in ready.steps:
        entry = ready.finished.get(step.title)
        if entry is None:
            start = time.perf_counter()
            result = _do(ready, step, progress)
            entry = ready.record.add(step, time.perf_counter() - start, result)
        _log.info("%s: %s", step.title, "reused" if step.title in ready.finished else told(entry.result))
        files = tuple(str(file) for file in step.files)
        found.append(Done(step.title, step.title in ready.finished, entry.seconds, files, entry.result))
    return RecipeResult(opened.written.name, str(opened.out), tuple(found))


def recipe(brick: AnyBrick | str | os.PathLike[str]) -> str:
    """Return the text of the recipe that made a brick, given itself or its directory.

    Raises:
        RecipeError: no recipe made it.
    """
    model = load(os.fspath(brick)) if isinstance(brick, str | os.PathLike) else brick
    if model.info.recipe is None:
        raise RecipeError(f"{model.name or 'this brick'} was not made by a recipe")
    return model.info.recipe.text


def told(result: dict[str, Any]) -> str:
    """Return what a step found, in one line."""
    parts = [f"{share(result['accuracy'])} %"] if result.get("accuracy") is not None else []
    parts += [f"{count(result['macs'])} MACs"] if "macs" in result else []
    return ", ".join(parts)


def _do(ready: Ready, step: Step, progress: Progress) -> dict[str, Any]:
    section = ready.opened.recipe
    if step.kind == "brick":
        return _disassemble(ready, step, progress)
    if step.kind == "assembly":
        return _assemble(ready, step, progress)
    number = int(step.place[1])
    if step.kind == "evaluation":
        asked = section.evaluation[number]
        model = load(ready.opened.brick(asked.model))
        mapping = section.data[asked.data].map
        batch = asked.latency or None
        return evaluate(
            model, ready.data[asked.data], mapping=mapping, latency_batch=batch, progress=progress
        ).as_json()
    wanted = section.exports[number]
    done = export(
        load(ready.opened.brick(wanted.model)),
        step.files[0],
        to=wanted.to,
        data=ready.data[wanted.data] if wanted.data is not None else None,
        mapping=ready.opened.recipe.data[wanted.data].map if wanted.data is not None else None,
        image_size=wanted.image_size,
        prepared=wanted.prepared,
        int8=wanted.int8,
        force=True,  # what must not be replaced was refused before work started
        progress=progress,
    )
    return {"accuracy": done.file.accuracy, **done.as_json()}


def _disassemble(ready: Ready, step: Step, progress: Progress) -> dict[str, Any]:
    section = ready.opened.recipe.bricks[step.name]
    brick = disassemble(
        ready.wholes[section.source, section.data],
        ready.data[section.data],
        wanted_classes(section),
        mapping=ready.opened.recipe.data[section.data].map,
        seed=ready.opened.recipe.seed,
        progress=progress,
        **request(section),
    )
    return _kept(ready, step, brick, brick.info.scores["brick_accuracy"])


def _assemble(ready: Ready, step: Step, progress: Progress) -> dict[str, Any]:
    opened = ready.opened
    assembly, calibration = opened.recipe.assembly, opened.recipe.calibration
    assert assembly is not None
    pieces = [ready.outside[n] if n in ready.outside else load(opened.brick(n)) for n in assembly.bricks]
    data = ready.data[calibration.data] if calibration is not None else None
    how: dict[str, Any] = {}
    if calibration is not None:
        how = {"calibrate": calibration.by, "scale": calibration.scale}
        how |= {"reject": calibration.reject, "reject_by": calibration.reject_by}
        how |= {} if calibration.per_class is None else {"per_class": calibration.per_class}
    made = assemble(
        pieces,
        layout=assembly.layout,
        data=data,
        merge_equal_classes=assembly.merge_equal_classes,
        names=[Path(name).name.removesuffix(".brick") for name in assembly.bricks],
        allow_same=assembly.allow_same,
        seed=opened.recipe.seed,
        progress=progress,
        **how,
    )
    mapping = opened.recipe.data[calibration.data].map if calibration is not None else {}
    found, unscored = scored(made, data, mapping, progress)
    return {**_kept(ready, step, made, None if found is None else found.scores.accuracy), "unscored": unscored}


def _kept(ready: Ready, step: Step, brick: AnyBrick, accuracy: float | None) -> dict[str, Any]:
    """Write a brick with the recipe in its lineage, and return what there is to say of it."""
    brick.info = brick.info.changed(recipe=ready.made(step))
    brick.save(step.files[0], force=True)  # what must not be replaced was refused before work started
    spent = cost(brick)
    return {"classes": list(brick.classes), "accuracy": accuracy, "macs": spent.macs, "parameters": spent.parameters}

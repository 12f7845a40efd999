"""Everything about a recipe that can be wrong is found before work starts: each fault is told with its line."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modellego.assembly.verb import check_words
from modellego.brick import AnyBrick, Brick, RecipeStep, check_target, is_brick, load
from modellego.contribution.relevance import Thresholds
from modellego.data import Data, load_data
from modellego.disassembly.job import Job, prepare
from modellego.disassembly.options import check_request
from modellego.disassembly.sampling import Samples
from modellego.errors import LegoError, RecipeError
from modellego.exporting.onnx_file import need_onnx
from modellego.exporting.verb import ENDINGS
from modellego.locate import Budget
from modellego.plugins import load_plugin
from modellego.recipes.document import BrickSection
from modellego.recipes.reading import Place
from modellego.recipes.record import Entry, Record
from modellego.recipes.steps import OpenedRecipe, Step, steps_of
from modellego.rejection.rule import check_rule
from modellego.sources.normalisation import note_normalisation
from modellego.sources.opened import open_source


@dataclass
class Ready:
    """A recipe that can be run: its steps, which are finished, and the data and models of those that are not."""

    opened: OpenedRecipe
    steps: list[Step]
    record: Record
    finished: dict[str, Entry]
    data: dict[str, Data] = field(default_factory=dict)
    wholes: dict[tuple[str, str], Brick] = field(default_factory=dict)  # by source and data
    jobs: dict[str, Job] = field(default_factory=dict)  # by brick
    outside: dict[str, AnyBrick] = field(default_factory=dict)  # bricks that the recipe does not make

    def made(self, step: Step) -> RecipeStep:
        """Return what a brick says of the recipe that made it."""
        return RecipeStep(text=self.opened.written.text, step=step.title, fingerprint=step.fingerprint)


def check(opened: OpenedRecipe, force: bool = False) -> Ready:
    """Check a whole recipe, open its sources and data, and find out what was done before.

    Raises:
        RecipeError: the first fault, with its line.
    """
    recipe = opened.recipe
    for i, plugin in enumerate(recipe.plugins):
        with _at(opened, ("plugins", i)):
            load_plugin(opened.path(plugin))
    for name, section in recipe.bricks.items():
        with _at(opened, ("bricks", name, "budget")):
            Budget(**dict(section.budget))
        with _at(opened, ("bricks", name)):
            request(section)
    _check_joining(opened)
    steps = steps_of(opened)
    record = Record(opened.out)
    done = {step.title: entry for step in steps if (entry := record.finished(step)) is not None}
    ready = Ready(opened, steps, record, done)
    for step in steps:
        if step.title not in done:
            with _at(opened, step.place):
                _check_files(step, force)
            _open(ready, step)
    return ready


def request(section: BrickSection) -> dict[str, Any]:
    """Return what a brick's section asks of `disassemble`.

    Raises:
        LegoError: what cannot be asked for.
    """
    budget = Budget(**dict(section.budget))
    check_request(budget, section.criterion, section.reject, section.reject_by, section.refit_by)
    return {
        "budget": budget,
        "criterion": section.criterion,
        "thresholds": Thresholds(**dict(section.thresholds)),
        "samples": Samples(section.samples, candidates=section.candidates),
        "refit_images": section.refit_images,
        "refit_by": section.refit_by,
        "tune": section.tune,
        "reject": section.reject,
        "reject_by": section.reject_by,
    }


def wanted_classes(section: BrickSection) -> str | list[str | int]:
    """Return a brick's classes as `disassemble` takes them: a number by itself is one of a list."""
    return [section.classes] if isinstance(section.classes, int) else section.classes


def _check_joining(opened: OpenedRecipe) -> None:
    recipe = opened.recipe
    calibration = recipe.calibration
    if recipe.assembly is not None:
        with _at(opened, ("assembly",)):
            check_words(recipe.assembly.layout, None, None)
    if calibration is not None:
        with _at(opened, ("calibration",)):
            check_words("parallel", calibration.scale, calibration.by)
            check_rule(calibration.reject, calibration.reject_by)
    for i, export in enumerate(recipe.exports):
        with _at(opened, ("exports", i)):
            if Path(export.file).suffix != ENDINGS[export.to]:
                raise LegoError(f"{export.file} must end in {ENDINGS[export.to]}")
            if export.int8 and (export.to != "onnx" or export.data is None):
                raise LegoError("int8 is made by ONNX Runtime, of images: export to onnx, and name data")


def _check_files(step: Step, force: bool) -> None:
    """Refuse to replace what is there, unless it is wanted."""
    for file in step.files:
        if step.kind != "export" and file.parent.is_dir():
            check_target(file, force)
        elif file.exists() and not force:
            raise LegoError(f"{file} exists: choose another name or folder, or replace it by force")


def _open(ready: Ready, step: Step) -> None:
    """Open what a step that is not finished needs: data and models, and the brick's classes among them."""
    opened, recipe = ready.opened, ready.opened.recipe
    if step.kind == "brick":
        section = recipe.bricks[step.name]
        data = _data(ready, section.data)
        said = recipe.sources[section.source]
        key = (section.source, section.data)
        if key not in ready.wholes:
            with _at(opened, ("sources", section.source)):
                ready.wholes[key] = _whole(opened, section.source, data)
        if said.licence is not None or said.origin is not None:
            whole = ready.wholes[key]
            says = {"licence": said.licence, "origin": said.origin}
            own = tuple(o.model_copy(update={k: v for k, v in says.items() if v}) for o in whole.info.sources)
            whole.info = whole.info.changed(sources=own)
        with _at(opened, ("bricks", step.name, "classes")):
            mapping = recipe.data[section.data].map
            ready.jobs[step.name] = prepare(ready.wholes[key], data, wanted_classes(section), mapping)
    elif step.kind == "assembly":
        assert recipe.assembly is not None
        for i, name in enumerate(recipe.assembly.bricks):
            if name not in recipe.bricks:
                with _at(opened, ("assembly", "bricks", i)):
                    ready.outside[name] = load(opened.path(name))
        if recipe.calibration is not None:
            _data(ready, recipe.calibration.data)
    elif step.kind == "evaluation":
        _data(ready, recipe.evaluation[int(step.place[1])].data)
    else:
        export = recipe.exports[int(step.place[1])]
        if export.data is not None:
            _data(ready, export.data)
        if export.to == "onnx":
            with _at(opened, step.place):
                need_onnx()


def _data(ready: Ready, name: str) -> Data:
    if name not in ready.data:
        section = ready.opened.recipe.data[name]
        with _at(ready.opened, ("data", name)):
            train, test = ([ready.opened.path(t) for t in texts or []] for texts in (section.train, section.test))
            ready.data[name] = load_data(train, test or None)
    return ready.data[name]


def _whole(opened: OpenedRecipe, name: str, data: Data) -> Brick:
    said = opened.recipe.sources[name]
    spec = opened.path(said.model)
    given = said.given()
    if is_brick(spec):
        if given:
            raise LegoError(f"{said.model} is a brick and knows its own {next(iter(given))}: leave that out")
        brick = load(spec)
        if not isinstance(brick, Brick):
            raise LegoError(f"{said.model} is an assembled model: take one of the bricks it is made of")
        return brick
    for key in ("weights", "class_names"):
        if isinstance(given.get(key), str):
            given[key] = opened.path(given[key])
    brick, tried, _ = open_source(spec, given, data)
    note_normalisation(brick, tried)
    return brick


@contextlib.contextmanager
def _at(opened: OpenedRecipe, place: Place) -> Iterator[None]:
    """Turn an error into one that names the line."""
    try:
        yield
    except RecipeError:
        raise
    except LegoError as error:
        raise opened.written.error(place, str(error)) from error

"""The steps of a recipe: in which order, what each writes, and the fingerprint of what goes into it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modellego.errors import RecipeError
from modellego.recipes.document import ASSEMBLY, Recipe, parse
from modellego.recipes.fingerprints import fingerprint, of_name
from modellego.recipes.reading import Place, Written, read_yaml

Kind = Literal["brick", "assembly", "evaluation", "export"]


@dataclass(frozen=True)
class Step:
    """One step: its kind, its name, its place in the recipe, the files it writes, its fingerprint."""

    kind: Kind
    name: str
    place: Place
    files: tuple[Path, ...]
    fingerprint: str

    @property
    def title(self) -> str:
        """What the step is called in front of people and in the record."""
        return self.name if self.name == self.kind else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class OpenedRecipe:
    """A recipe that was read: its text, its sections, the folder that its paths start from, where its results go."""

    written: Written
    recipe: Recipe
    folder: Path
    out: Path

    def path(self, text: str) -> str:
        """Return a path of the recipe as seen from here: beside the recipe where such a file is, else as it is."""
        name, colon, inside = text.partition(".py:")
        beside = self.folder / (f"{name}.py" if colon else text)
        if not beside.exists():
            return text
        return f"{beside}:{inside}" if colon else str(beside)

    def brick(self, name: str) -> Path:
        """Return the directory of a brick or of the assembled model."""
        if self.recipe.assembly is not None and name == ASSEMBLY:
            name = self.recipe.assembly.name
        return self.out / f"{name}.brick"


def open_recipe(path: str | Path, out: str | Path | None = None) -> OpenedRecipe:
    """Read a recipe from its file; results go into the folder `out`, by default the file's name and `-bricks`, here.

    Raises:
        RecipeError: it cannot be read, or is no recipe.
    """
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the recipe {path} cannot be read: {error}") from None
    written = read_yaml(text, file.name)
    return OpenedRecipe(
        written, parse(written), file.parent, Path(out) if out is not None else Path(f"{file.stem}-bricks")
    )


def steps_of(opened: OpenedRecipe) -> list[Step]:
    """Return all steps in the order in which they run.

    Raises:
        RecipeError: a name of something that is not there, with its line.
    """
    recipe = opened.recipe
    _check_names(opened)
    data = {name: _of_data(opened, name) for name in recipe.data}
    plugins = [of_name(opened.path(p)) for p in recipe.plugins]
    shared = [recipe.seed, plugins]
    prints: dict[str, str] = {}
    steps: list[Step] = []
    for name, section in recipe.bricks.items():
        said = recipe.sources[section.source]
        source = [said.model_dump(mode="json"), of_name(opened.path(said.model))]
        source += [of_name(opened.path(text)) for text in (said.weights, said.class_names) if isinstance(text, str)]
        prints[name] = fingerprint("brick", section.model_dump(mode="json"), source, data[section.data], *shared)
        steps.append(Step("brick", name, ("bricks", name), (opened.brick(name),), prints[name]))
    if recipe.assembly is not None:
        parts = [prints.get(name) or of_name(opened.path(name)) for name in recipe.assembly.bricks]
        how: list[Any] = [recipe.assembly.model_dump(mode="json"), parts]
        if recipe.calibration is not None:
            how += [recipe.calibration.model_dump(mode="json"), data[recipe.calibration.data]]
        prints[ASSEMBLY] = fingerprint("assembly", how, *shared)
        files = (opened.brick(ASSEMBLY),)
        steps.append(Step("assembly", recipe.assembly.name, ("assembly",), files, prints[ASSEMBLY]))
    for i, scored in enumerate(recipe.evaluation):
        own = fingerprint("evaluation", scored.model_dump(mode="json"), prints[scored.model], data[scored.data])
        steps.append(Step("evaluation", f"{scored.model} on {scored.data}", ("evaluation", i), (), own))
    for i, export in enumerate(recipe.exports):
        images = data[export.data] if export.data is not None else None
        own = fingerprint("export", export.model_dump(mode="json"), prints[export.model], images)
        target = opened.out / export.file
        written = (target, target.with_suffix(".int8.onnx")) if export.int8 else (target,)
        steps.append(Step("export", export.file, ("exports", i), written, own))
    _check_files(opened, steps)
    return steps


def _of_data(opened: OpenedRecipe, name: str) -> list[Any]:
    section = opened.recipe.data[name]
    named = [of_name(opened.path(text)) for text in (*section.train, *(section.test or []))]
    return [section.model_dump(mode="json"), named]


def _check_names(opened: OpenedRecipe) -> None:
    """Refuse names of sources, data and models that the recipe does not have."""
    recipe, written = opened.recipe, opened.written

    def need(kind: str, name: str, known: Any, place: Place) -> None:
        if name not in known:
            raise written.error(place, f"there is no {kind} {name!r}; there is {', '.join(known)}")

    models = [*recipe.bricks, *([ASSEMBLY] if recipe.assembly is not None else [])]
    if ASSEMBLY in recipe.bricks:
        raise written.error(("bricks", ASSEMBLY), "a brick must have another name: this one is the assembled model's")
    for name, brick in recipe.bricks.items():
        need("source", brick.source, recipe.sources, ("bricks", name, "source"))
        need("data", brick.data, recipe.data, ("bricks", name, "data"))
    if recipe.assembly is not None:
        if recipe.assembly.name in recipe.bricks:
            raise written.error(("assembly", "name"), "there is a brick of that name: take another")
        for i, name in enumerate(recipe.assembly.bricks):
            if not Path(opened.path(name)).is_dir():
                need("brick", name, recipe.bricks, ("assembly", "bricks", i))
    if recipe.calibration is not None:
        if recipe.assembly is None:
            raise written.error(("calibration",), "there is no assembly to calibrate")
        need("data", recipe.calibration.data, recipe.data, ("calibration", "data"))
    for i, scored in enumerate(recipe.evaluation):
        need("model", scored.model, models, ("evaluation", i, "model"))
        need("data", scored.data, recipe.data, ("evaluation", i, "data"))
    for i, export in enumerate(recipe.exports):
        need("model", export.model, models, ("exports", i, "model"))
        if export.data is not None:
            need("data", export.data, recipe.data, ("exports", i, "data"))


def _check_files(opened: OpenedRecipe, steps: list[Step]) -> None:
    """Refuse two steps that write one file, or files outside the folder of the results."""
    seen: dict[Path, str] = {}
    titles: set[str] = set()
    for step in steps:
        if step.title in titles:
            raise opened.written.error(step.place, f"{step.title} is there twice")
        titles.add(step.title)
        for file in step.files:
            if file.parent != opened.out:
                raise opened.written.error(step.place, f"{file.name}: name a file, without a folder")
            if file in seen:
                raise opened.written.error(step.place, f"{file.name} is written by {seen[file]} too")
            seen[file] = step.title

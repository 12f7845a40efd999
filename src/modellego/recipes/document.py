"""What may stand in a recipe: one class a section, its fields those of the verb that it is given to."""

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from modellego.brick.strict import Strict
from modellego.errors import RecipeError
from modellego.recipes.reading import Place, Written

ASSEMBLY = "assembly"  # what evaluation and exports call the model that is put together


def _name(text: str) -> str:
    if not re.fullmatch(r"[\w][\w.-]{0,99}", text):
        raise ValueError("names hold letters, digits, dots, hyphens and underscores")
    return text


Name = Annotated[str, AfterValidator(_name)]
Texts = Annotated[list[str], Field(min_length=1), BeforeValidator(lambda v: v if isinstance(v, list) else [v])]
Numbers = str | float | list[float] | None
Count = Annotated[int, Field(ge=1)]


class SourceSection(Strict):
    """A source model: its name and what `load_source` takes."""

    model: str
    weights: str | None = None
    input_size: int | str | None = None
    channels: Count | None = None
    mean: Numbers = None
    std: Numbers = None
    class_names: str | list[str | int] | None = None
    logits: int | str | None = None
    licence: str | None = None
    origin: str | None = None

    def given(self) -> dict[str, Any]:
        """Return what is said about the model beside its name, as `open_source` takes it."""
        skip = {"model", "licence", "origin"}
        found = {k: v for k, v in self if k not in skip and v is not None}
        if isinstance(self.class_names, list):
            found["class_names"] = [str(name) for name in self.class_names]
        return found


class DataSection(Strict):
    """Labelled images: what names them, other images to score on, and which class a label means."""

    train: Texts
    test: Texts | None = None
    map: dict[str, str | int] = Field(default_factory=dict)


class BudgetSection(Strict):
    """What a brick may cost; shares of the source."""

    macs: float | None = None
    parameters: float | None = None
    latency: float | None = None
    max_drop: float | None = None
    round_to: Count = 1


class ThresholdSection(Strict):
    """The paper's thresholds."""

    conv_alpha: float = 0.3
    conv_beta: float = 0.2
    linear_alpha: float = 0.4
    linear_beta: float = 0.3


class BrickSection(Strict):
    """A brick: what it is cut out of, for which classes, and how."""

    source: str
    data: str
    classes: str | int | list[str | int]
    budget: BudgetSection = BudgetSection()
    thresholds: ThresholdSection = ThresholdSection()
    criterion: str | None = None
    samples: Count = 50
    candidates: Count | None = None
    refit_images: Annotated[int, Field(ge=0)] = 200
    refit_by: str = "least_squares"
    tune: Count | None = None
    reject: float | None = None
    reject_by: str | None = None


class AssemblySection(Strict):
    """How bricks are put together; `bricks` are names of this recipe, or directories."""

    bricks: Annotated[list[str], Field(min_length=2)]
    name: Name = ASSEMBLY
    layout: str = "parallel"
    merge_equal_classes: bool = False
    allow_same: bool = False


class CalibrationSection(Strict):
    """How the bricks' logits are made comparable, and when the model says "none of these"."""

    by: str | None = None
    scale: Literal["logits", "layers"] | None = None
    data: str
    per_class: Count | None = None
    reject: float | None = None
    reject_by: str | None = None


class EvaluationSection(Strict):
    """What is scored on what; `latency` is the batch that is timed, 0 for none."""

    model: str
    data: str
    latency: Annotated[int, Field(ge=0)] = 0


class ExportSection(Strict):
    """What is written as a file that runs without this package."""

    model: str
    file: str
    to: Literal["onnx", "pt2"] = "onnx"
    data: str | None = None
    image_size: tuple[Count, Count] | None = None
    prepared: bool = False
    int8: bool = False


def _short(key: str) -> BeforeValidator:
    """Let a section be written as the one value it must have."""
    return BeforeValidator(lambda v: v if isinstance(v, dict) else {key: v})


class Recipe(Strict):
    """A whole recipe."""

    recipe: Literal[1]
    seed: int = 0
    plugins: list[str] = Field(default_factory=list)
    sources: dict[Name, Annotated[SourceSection, _short("model")]]
    data: dict[Name, Annotated[DataSection, _short("train")]]
    bricks: Annotated[dict[Name, BrickSection], Field(min_length=1)]
    assembly: AssemblySection | None = None
    calibration: CalibrationSection | None = None
    evaluation: list[EvaluationSection] = Field(default_factory=list)
    exports: list[ExportSection] = Field(default_factory=list)


_SECTIONS: tuple[type[Strict], ...] = (
    Recipe,
    SourceSection,
    DataSection,
    BudgetSection,
    ThresholdSection,
    BrickSection,
    AssemblySection,
    CalibrationSection,
    EvaluationSection,
    ExportSection,
)
_KEYS = sorted({key for section in _SECTIONS for key in section.model_fields})


def parse(written: Written) -> Recipe:
    """Return a recipe of what was written.

    Raises:
        RecipeError: a key that is missing, unknown or holds something else than it may; the first one, with its line.
    """
    if not isinstance(written.values, dict):
        raise RecipeError(f"{written.name}:1: a recipe has sections: sources, data, bricks, ...")
    try:
        return Recipe.model_validate(written.values)
    except ValidationError as error:
        faults = [(_known(written, fault["loc"]), fault) for fault in error.errors(include_url=False)]
        # a misspelt key explains why another one is missing
        faults.sort(key=lambda found: (found[1]["type"] == "missing", written.line(found[0])))
        lines = list(dict.fromkeys(str(written.line(place)) for place, _ in faults))
        more = f" (more in line {', '.join(lines[1:9])})" if lines[1:] else ""
        raise written.error(faults[0][0], _words(faults[0][1]) + more) from None


def _known(written: Written, loc: Place) -> Place:
    """Return the part of pydantic's place that the recipe has: the kinds of a union are in it too."""
    place: Place = ()
    for part in loc:
        if (*place, part) in written.lines:
            place = (*place, part)
    return place


def _words(fault: Any) -> str:
    """Say what is wrong with one value."""
    key = str(fault["loc"][-1])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, _KEYS, 1)
        return "there is no such key" + (f": did you mean {near[0]}?" if near else "")
    if fault["type"] == "missing":
        return f"{key} is missing"
    text = str(fault["msg"]).removeprefix("Value error, ")
    return f"{text[:1].lower()}{text[1:]}"

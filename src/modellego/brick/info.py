"""What a brick says about itself: classes, input, lineage, how it was cut and refit, and what it scored."""

import math
from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from modellego.brick.names import Label, Text
from modellego.brick.reject_rule import Reject
from modellego.brick.strict import Strict, sentence
from modellego.errors import FormatError
from modellego.preprocess import Preprocess

FORMAT_VERSION = 4
MAX_CLASSES = 100_000
Axis = Annotated[int, Field(ge=1, le=65536)]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class PreprocessDocument(Strict):
    """What an image goes through before the first layer: `(resized - mean) / std`, channel by channel."""

    channels: Annotated[int, Field(ge=1, le=4096)]
    height: Axis
    width: Axis
    mean: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    std: tuple[Annotated[float, Field(gt=0, le=1)], ...]
    resize: Literal["squash", "crop"]
    crop_share: Annotated[float, Field(ge=0.1, le=1)] = 1.0
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    @model_validator(mode="after")
    def _one_number_a_channel(self) -> "PreprocessDocument":
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(f"mean and std must hold one number for each of the {self.channels} channels")
        return self


class _AsDocument:
    """Lets a field hold `Preprocess` in Python and `PreprocessDocument` in JSON."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        document = handler.generate_schema(PreprocessDocument)
        from_document = core_schema.no_info_after_validator_function(lambda d: Preprocess(**dict(d)), document)
        as_dict = core_schema.no_info_before_validator_function(
            lambda p: asdict(p) if isinstance(p, Preprocess) else p, from_document
        )
        return core_schema.json_or_python_schema(
            json_schema=from_document,
            python_schema=as_dict,
            serialization=core_schema.plain_serializer_function_ser_schema(asdict),
        )


def _plain(value: Any, depth: int = 0) -> Any:
    """Turn tuples and NumPy or torch scalars into JSON values, and refuse what JSON cannot write."""
    if depth > 8:
        raise ValueError("nested more than 8 deep")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, dict):
        return {str(k): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, depth + 1) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), depth + 1)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} cannot be written as JSON")
    return value


Options = Annotated[dict[Label, JsonValue], BeforeValidator(_plain)]


class Origin(Strict):
    """One model a brick was cut from: the classes taken, and their numbers among the source's own.

    `licence` is that of its weights, such as `apache-2.0`, and `origin` where they come from: an address, or `hf:` and
    a name on the hub (both since version 4); None where nobody said.
    """

    name: Label
    classes: tuple[Label, ...]
    of: tuple[Count, ...]
    parameters: Count | None = None
    macs: Count | None = None
    total: Count | None = None  # how many classes the source has
    licence: Label | None = None
    origin: Label | None = None

    @model_validator(mode="after")
    def _parallel(self) -> "Origin":
        if len(self.classes) != len(self.of):
            raise ValueError(
                f"{len(self.classes)} classes were taken but {len(self.of)} of the source's indices are given"
            )
        return self


class Cut(Strict):
    """How channels were chosen: the criterion, its options, and how many of the channel groups stayed.

    `widths` tells how many output channels the source's layers had, by module path (since version 2).
    """

    criterion: Label
    options: Options = Field(default_factory=dict)
    kept: Count
    total: Count
    widths: dict[Label, Count] = Field(default_factory=dict)


class RecipeStep(Strict):
    """The recipe that made a brick: its text, the step of it, and the fingerprint of that step (since version 4)."""

    text: Text
    step: Label
    fingerprint: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Made(Strict):
    """With what a brick was made: versions of libraries, threads of each process, processes, seed (since version 4).

    `options` are those that `cut` and `assembly` do not tell, `data` is the digest of the images it was fitted on, None
    where there were none. Two bricks that agree in all this, in their sources and in `cut`, are the same bytes.
    """

    versions: dict[Label, Label]
    threads: Annotated[int, Field(ge=1, lt=2**31)]
    processes: Annotated[int, Field(ge=1, lt=2**31)] = 1
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    data: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    options: Options = Field(default_factory=dict)


class Assembly(Strict):
    """How a model was put together: what its bricks are called, and what was done with them (since version 3).

    `scale` and `calibrate` are None where nothing was done; `merged` says that equal classes became one.
    """

    names: Annotated[tuple[Label, ...], Field(min_length=1)]
    layout: Label
    scale: Label | None = None
    calibrate: Label | None = None
    merged: bool = False

    @model_validator(mode="after")
    def _a_name_a_brick(self) -> "Assembly":
        if len(set(self.names)) != len(self.names):
            raise ValueError("two of the bricks have one name")
        return self


class BrickInfo(Strict):
    """All a brick says about itself beside its graph and weights; checked on construction, frozen.

    `input_shape` (channels, height, width, without the batch axis) and `preprocess` belong to a brick of one
    network (`kind="brick"`) and are None in an assembled one, whose bricks have their own. `preprocess` is
    None too where images go into the network as they are. `members` names, for a class that was made of others, the
    source's classes in it, in the order of the logits that its logit is the log-sum-exp of (since version 4).
    `inputs` "graph" means that the network reads a graph: node features `[N, F]` (`input_shape` is `(F,)`) and
    `edge_index` int64 `[2, E]`, and gives one row per node. `scores` maps the name of a measure to a number, or to
    None where there was nothing to measure it on.

    >>> BrickInfo(classes=("cat", "dog"), input_shape=(3, 32, 32)).kind
    'brick'
    """

    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)] = FORMAT_VERSION
    kind: Literal["brick", "assembled"] = "brick"
    classes: Annotated[tuple[Label, ...], Field(min_length=1, max_length=MAX_CLASSES)]
    members: dict[Label, Annotated[tuple[Label, ...], Field(min_length=1)]] = Field(default_factory=dict)
    input_shape: Annotated[tuple[Axis, ...], Field(min_length=1, max_length=4)] | None = None
    preprocess: Annotated[Preprocess, _AsDocument] | None = None
    inputs: Literal["image", "graph"] = "image"
    outputs: Literal["logits", "features"] = "logits"
    sources: tuple[Origin, ...] = ()
    cut: Cut | None = None
    refit: Options | None = None
    scores: Annotated[dict[Label, float | None], BeforeValidator(_plain)] = Field(default_factory=dict)
    reject: Reject | None = None
    assembly: Assembly | None = None
    recipe: RecipeStep | None = None
    made: Made | None = None
    notes: Text = ""

    @field_validator("format_version")
    @classmethod
    def _todays(cls, version: int) -> int:
        """Older versions hold less, so that what was read is written at today's."""
        return FORMAT_VERSION

    @model_validator(mode="after")
    def _consistent(self) -> "BrickInfo":
        if len(set(self.classes)) != len(self.classes):
            twice = Counter(self.classes).most_common(1)[0][0]
            raise ValueError(f"the class {twice!r} is there twice")
        if not set(self.members) <= set(self.classes):
            raise ValueError("members are named for a class that is not there")
        if self.inputs == "graph" and (self.kind == "assembled" or self.preprocess or len(self.input_shape or ()) != 1):
            raise ValueError("what reads a graph is a brick of one network with input_shape (features,), no preprocess")
        if self.kind == "assembled":
            if self.input_shape is not None or self.preprocess is not None:
                raise ValueError(
                    "an assembled brick has no input_shape or preprocess of its own: its bricks have theirs"
                )
            return self
        if self.input_shape is None:
            raise ValueError("a brick needs input_shape (channels, height, width)")
        p = self.preprocess
        if p is not None and self.input_shape != (p.channels, p.height, p.width):
            raise ValueError(
                f"preprocess gives {(p.channels, p.height, p.width)} but the network reads {self.input_shape}"
            )
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of how many classes of the sources each class is made: 1, or as many as it has members."""
        return tuple(len(self.members.get(name, (name,))) for name in self.classes)

    def changed(self, **changes: Any) -> "BrickInfo":
        """Return a copy with some fields changed, checked again as `make_info` does.

        >>> BrickInfo(classes=("cat",), input_shape=(1, 8, 8)).changed(notes="tame").notes
        'tame'
        """
        return make_info(**{name: getattr(self, name) for name in BrickInfo.model_fields} | changes)


def make_info(**fields: Any) -> BrickInfo:
    """Return a `BrickInfo` of these fields; what is wrong with them is said in one sentence.

    Raises:
        FormatError: a field that is missing, unknown or does not fit the others.

    >>> make_info(classes=["cat"], input_shape=(1, 8, 8)).classes
    ('cat',)
    """
    try:
        return BrickInfo.model_validate(fields)
    except ValidationError as error:
        raise FormatError(f"a brick cannot have this info: {sentence(error)}") from None

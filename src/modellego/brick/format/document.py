"""The whole of `brick.json` as pydantic models, read from text and written to text.

What these models let through is well formed; `graph` and `build` check what spans several parts of the file.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from modellego.brick.format.arguments import Value
from modellego.brick.format.layers import FLOATS, LayerDocument
from modellego.brick.info import FORMAT_VERSION, BrickInfo
from modellego.brick.names import ModulePath, NodeName
from modellego.brick.strict import Strict, sentence
from modellego.errors import FormatError

MAX_NODES = 100_000
MAX_BRICKS = 4096
MAX_NESTING = 16
MAX_BYTES = 2**25  # of brick.json
MAX_VALUES = 2**19  # in it: each takes memory, however few bytes it was written in
Size = Annotated[int, Field(ge=0, le=2**40)]
Columns = Annotated[int, Field(ge=1, le=2**24)]


class TensorDocument(Strict):
    """A tensor that belongs to no layer, read by a `get_attr` node."""

    kind: Literal["parameter", "buffer"]
    dtype: Literal[
        "float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"
    ]  # fmt: skip
    shape: Annotated[tuple[Size, ...], Field(max_length=16)]

    @model_validator(mode="after")
    def _parameters_are_floats(self) -> "TensorDocument":
        if self.kind == "parameter" and self.dtype not in FLOATS:
            raise ValueError(f"a parameter of dtype {self.dtype} cannot be trained: it must be a buffer")
        return self


class NodeDocument(Strict):
    """One node of the graph; its arguments refer to earlier nodes by name."""

    name: NodeName
    op: Literal["placeholder", "call_module", "call_function", "get_attr", "output"]
    target: Annotated[str, Field(min_length=1, max_length=1000)]
    args: Annotated[list[Value], Field(max_length=4096)]
    kwargs: Annotated[dict[NodeName, Value], Field(max_length=64)]


class NetworkDocument(Strict):
    """A network: layers, tensors of no layer, and nodes in the order in which they run."""

    layers: Annotated[dict[ModulePath, LayerDocument], Field(max_length=MAX_NODES)]
    aliases: Annotated[
        dict[ModulePath, ModulePath], Field(max_length=MAX_NODES)
    ]  # a second path of a layer -> its first
    tensors: Annotated[dict[ModulePath, TensorDocument], Field(max_length=MAX_NODES)]
    nodes: Annotated[list[NodeDocument], Field(min_length=2, max_length=MAX_NODES)]


class LinearDocument(Strict):
    """The joint's linear layer."""

    in_features: Columns
    out_features: Columns
    bias: bool
    dtype: Literal["float16", "bfloat16", "float32", "float64"]


class VectorDocument(Strict):
    """A scale or shift of the joint, one number per column."""

    length: Columns
    dtype: Literal["float16", "bfloat16", "float32", "float64"]


class JointDocument(Strict):
    """What is done to the bricks' outputs, side by side, in this order; null leaves a step out.

    `reads` names what is taken of each brick (since version 3); null takes the outputs of all.
    """

    linear: LinearDocument | None
    scale: VectorDocument | None
    shift: VectorDocument | None
    merge: Annotated[list[list[Annotated[int, Field(ge=0, lt=2**24)]]], Field(max_length=2**24)] | None
    reads: Annotated[list[Literal["output", "features"]], Field(max_length=MAX_BRICKS)] | None = None


Ties = Annotated[dict[ModulePath, ModulePath], Field(max_length=MAX_NODES)]


class LeafDocument(BrickInfo):
    """`brick.json` of a brick with one network; `ties` maps a tensor's further names to its first."""

    kind: Literal["brick"] = "brick"
    network: NetworkDocument
    ties: Ties = Field(default_factory=dict)


class AssembledDocument(BrickInfo):
    """`brick.json` of an assembled brick; `ties` is filled in the outermost one only, with full names."""

    kind: Literal["assembled"] = "assembled"
    bricks: Annotated[tuple["Document", ...], Field(min_length=1, max_length=MAX_BRICKS)]
    joint: JointDocument
    ties: Ties = Field(default_factory=dict)


Document = Annotated[LeafDocument | AssembledDocument, Field(discriminator="kind")]
AssembledDocument.model_rebuild()
ADAPTER: TypeAdapter[LeafDocument | AssembledDocument] = TypeAdapter(Document)


def parse_document(text: str | bytes) -> LeafDocument | AssembledDocument:
    """Read and check the text of a `brick.json`.

    Raises:
        FormatError: no JSON, another version of the format, or something that is not allowed, with its place.
    """
    if len(text) > MAX_BYTES:
        raise FormatError(f"brick.json is larger than {MAX_BYTES >> 20} MiB")
    raw = read_json(text, "brick.json")
    check_version(raw)
    _check_nesting(raw)
    try:
        return ADAPTER.validate_json(text, strict=True)
    except ValidationError as error:
        raise FormatError(f"brick.json: {sentence(error)}") from None


def read_json(text: str | bytes, name: str) -> Any:
    """Parse JSON, refusing what readers disagree on: NaN, infinities, a key given twice.

    Values are counted before they are made: 60 MB of `[],` would become 4 GB of lists.
    """
    commas, brackets, braces = (",", "[", "{") if isinstance(text, str) else (b",", b"[", b"{")
    if text.count(commas) + text.count(brackets) + text.count(braces) > MAX_VALUES:  # type: ignore[arg-type]
        raise FormatError(f"{name} holds more than {MAX_VALUES} values")
    try:
        return json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except RecursionError:
        raise FormatError(f"{name} is nested too deep") from None
    except ValueError as error:  # bad syntax, bad UTF-8, a number with thousands of digits
        raise FormatError(f"{name} is not valid JSON: {str(error)[:200]}") from None


def check_version(raw: Any) -> None:
    """Refuse what is not a brick's document, or one of a version this package does not know."""
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if type(version) is not int or version < 1:
        raise FormatError("brick.json does not say which format_version it has: this is not a brick")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"this brick has format version {version} and this modellego reads up to version {FORMAT_VERSION}"
            ": upgrade with  pip install --upgrade modellego"
        )


def _check_nesting(raw: Any) -> None:
    """Walk level by level, so that bricks in bricks in bricks cannot exhaust the stack."""
    level = [raw]
    for _ in range(MAX_NESTING):
        level = [b for r in level if isinstance(r, dict) and isinstance(r.get("bricks"), list) for b in r["bricks"]]
    if level:
        raise FormatError(f"brick.json nests bricks more than {MAX_NESTING} deep")


def dump_document(document: LeafDocument | AssembledDocument) -> str:
    """Return the text of a `brick.json`: the same text for the same document, one key per line.

    Raises:
        FormatError: the text would be larger than what may be read back.
    """
    text = json.dumps(document.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise FormatError(f"brick.json would be larger than {MAX_BYTES >> 20} MiB")
    return text


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object holds a key twice")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")

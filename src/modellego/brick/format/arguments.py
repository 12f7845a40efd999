"""The arguments of graph nodes as JSON: plain values as they are, all else as an object with one key."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast, get_args

import torch
from pydantic import Discriminator, Field, Tag
from torch import fx
from typing_extensions import TypeAliasType

from modellego.brick.names import NodeName, Text
from modellego.brick.strict import Strict
from modellego.errors import FormatError

MAX_ITEMS = 4096  # in one list
MAX_DEPTH = 6  # of lists in lists
_INT64 = 2**63


class NodeRef(Strict):
    """The output of an earlier node."""

    node: NodeName


class TupleValue(Strict):
    """A tuple; a JSON array stands for a list."""

    tuple: Annotated[list["Value"], Field(max_length=MAX_ITEMS)]


class FloatValue(Strict):
    """A float JSON cannot write."""

    float: Literal["inf", "-inf", "nan"]


class DtypeValue(Strict):
    """A `torch.dtype`."""

    dtype: Literal[
        "float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool",
        "complex64", "complex128",
    ]  # fmt: skip


class DeviceValue(Strict):
    """A `torch.device`; bricks load on the CPU, so that is all the file knows."""

    device: Literal["cpu"]


class MemoryFormatValue(Strict):
    """A `torch.memory_format`."""

    memory_format: Literal["contiguous_format", "preserve_format", "channels_last", "channels_last_3d"]


class LayoutValue(Strict):
    """A `torch.layout`."""

    layout: Literal["strided"]


_TAGGED: dict[str, type[Strict]] = {
    "node": NodeRef,
    "tuple": TupleValue,
    "float": FloatValue,
    "dtype": DtypeValue,
    "device": DeviceValue,
    "memory_format": MemoryFormatValue,
    "layout": LayoutValue,
}
_PLAIN: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "integer",
    float: "number",
    str: "string",
    list: "list",
}


def _tag(value: Any) -> str | None:
    """Name the one member of `Value` that a piece of JSON can be, so that errors speak of that one only."""
    if isinstance(value, dict):
        key = next(iter(value), None)
        return f"<{key}>" if len(value) == 1 and key in _TAGGED else None
    for key, cls in _TAGGED.items():
        if type(value) is cls:
            return f"<{key}>"
    return _PLAIN.get(type(value))


if TYPE_CHECKING:
    Value: TypeAlias = Any  # mypy knows no recursive alias with annotations
else:
    Value = TypeAliasType(
        "Value",
        Annotated[
            Annotated[None, Tag("null")]
            | Annotated[bool, Tag("bool")]
            | Annotated[int, Field(ge=-_INT64, lt=_INT64), Tag("integer")]
            | Annotated[float, Field(allow_inf_nan=False), Tag("number")]
            | Annotated[Text, Field(max_length=200), Tag("string")]
            | Annotated[list["Value"], Field(max_length=MAX_ITEMS), Tag("list")]
            | Annotated[NodeRef, Tag("<node>")]
            | Annotated[TupleValue, Tag("<tuple>")]
            | Annotated[FloatValue, Tag("<float>")]
            | Annotated[DtypeValue, Tag("<dtype>")]
            | Annotated[DeviceValue, Tag("<device>")]
            | Annotated[MemoryFormatValue, Tag("<memory_format>")]
            | Annotated[LayoutValue, Tag("<layout>")],
            Discriminator(
                _tag,
                custom_error_type="unknown_value",
                custom_error_message="no value a node may take: null, a bool, number, string or array, or "
                "an object with the one key node, tuple, float, dtype, device, memory_format or layout",
            ),
        ],
    )
Argument: TypeAlias = Any  # what fx.Node.args holds


def encode_value(value: Argument, name_of: Callable[[fx.Node], str], depth: int = 0) -> Any:
    """Return a node's argument as an instance of `Value`.

    Devices are written as the CPU: that is where a brick loads.

    Raises:
        FormatError: the argument is of a kind the format does not hold.

    >>> encode_value((1, [2.5, None]), str)
    TupleValue(tuple=[1, [2.5, None]])
    """
    if depth > MAX_DEPTH:
        raise FormatError(f"arguments nested more than {MAX_DEPTH} deep cannot be written to a brick")
    if isinstance(value, fx.Node):
        return NodeRef(node=name_of(value))
    if value is None or isinstance(value, bool):
        return value
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    if type(value) is float:
        if math.isfinite(value):
            return value
        return FloatValue(float=cast(Any, "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"))
    if type(value) is str and len(value) <= 200:
        return value
    if isinstance(value, list | tuple) and len(value) <= MAX_ITEMS:
        items = [encode_value(v, name_of, depth + 1) for v in value]
        return TupleValue(tuple=items) if isinstance(value, tuple) else items
    if isinstance(value, torch.dtype):
        return _named(DtypeValue, "dtype", value)
    if isinstance(value, torch.device):
        return DeviceValue(device="cpu")
    if isinstance(value, torch.memory_format):
        return _named(MemoryFormatValue, "memory_format", value)
    if isinstance(value, torch.layout):
        return _named(LayoutValue, "layout", value)
    raise FormatError(f"an argument of type {type(value).__name__} ({str(value)[:60]}) cannot be written to a brick")


def _named(cls: type[Strict], key: str, value: Any) -> Strict:
    name = str(value).removeprefix("torch.")
    try:
        return cls.model_validate({key: name})
    except ValueError:
        raise FormatError(f"{key} {value} cannot be written to a brick") from None


def decode_value(value: Any, nodes: dict[str, fx.Node], depth: int = 0) -> Argument:
    """Return the argument an instance of `Value` stands for; references are looked up in the earlier `nodes`.

    Raises:
        FormatError: a reference to a node that does not stand earlier, or lists nested too deep.

    >>> decode_value(TupleValue(tuple=[1, DtypeValue(dtype="int8")]), {})
    (1, torch.int8)
    """
    if depth > MAX_DEPTH:
        raise FormatError(f"arguments are nested more than {MAX_DEPTH} deep")
    if isinstance(value, NodeRef):
        if value.node not in nodes:
            raise FormatError(f"it reads {value.node!r}, which is not an earlier node")
        return nodes[value.node]
    if isinstance(value, list):
        return [decode_value(v, nodes, depth + 1) for v in value]
    if isinstance(value, TupleValue):
        return tuple(decode_value(v, nodes, depth + 1) for v in value.tuple)
    if isinstance(value, FloatValue):
        return float(value.float)
    if isinstance(value, DtypeValue):
        return _DTYPES[value.dtype]
    if isinstance(value, DeviceValue):
        return torch.device(value.device)
    if isinstance(value, MemoryFormatValue):
        return _MEMORY_FORMATS[value.memory_format]
    if isinstance(value, LayoutValue):
        return torch.strided
    return value


_DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in get_args(DtypeValue.__annotations__["dtype"])}
_MEMORY_FORMATS: dict[str, torch.memory_format] = {
    str(m).removeprefix("torch."): m
    for m in (torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d)
}

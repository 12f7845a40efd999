"""Node arguments: whatever is written comes back, and nothing else is read."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import fx

from modellego.brick.format.arguments import NodeRef, Value, decode_value, encode_value
from modellego.errors import FormatError

ADAPTER: TypeAdapter[Any] = TypeAdapter(Value)
GRAPH = fx.Graph()
NODE = GRAPH.placeholder("x")

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from([torch.float32, torch.bfloat16, torch.bool, torch.complex64, torch.strided])
    | st.sampled_from([torch.contiguous_format, torch.channels_last, torch.preserve_format])
    | st.just(torch.device("cpu"))
    | st.just(NODE)
)


def lists(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)


# two levels of lists in lists: `recursive` would go deeper than the format does
arguments = scalars | lists(scalars | lists(scalars | lists(scalars)))


def through_json(value: Any) -> Any:
    encoded = encode_value(value, lambda node: node.name)
    text = ADAPTER.dump_json(encoded)
    return decode_value(ADAPTER.validate_json(text, strict=True), {"x": NODE})


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@given(arguments)
def test_arguments_come_back_as_they_were(value: Any) -> None:
    assert same(through_json(value), value)


@pytest.mark.parametrize(
    "value", [float("inf"), -float("inf"), float("nan"), -0.0, 1e-320, 2.0, 2, True, (), [()], 1e300]
)
def test_values_at_the_edge_come_back(value: Any) -> None:
    assert same(through_json(value), value)


def test_other_devices_are_written_as_the_cpu() -> None:
    assert through_json(torch.device("cuda", 1)) == torch.device("cpu")


@pytest.mark.parametrize(
    "value",
    [2**63, 1j, {"a": 1}, slice(1), object(), torch.zeros(1), b"", "a" * 201, [0] * 4097, torch.qint8],
)
def test_what_the_format_does_not_hold_is_refused_on_writing(value: Any) -> None:
    with pytest.raises(FormatError, match="cannot be written"):
        encode_value(value, str)


def test_lists_nested_too_deep_are_refused_on_writing() -> None:
    deep: Any = 1
    for _ in range(8):
        deep = [deep]
    with pytest.raises(FormatError, match="nested"):
        encode_value(deep, str)


def test_lists_nested_too_deep_are_refused_on_reading() -> None:
    deep = ADAPTER.validate_json("[" * 8 + "]" * 8)
    with pytest.raises(FormatError, match="nested"):
        decode_value(deep, {})


def test_a_reference_to_no_earlier_node_is_refused() -> None:
    with pytest.raises(FormatError, match="not an earlier node"):
        decode_value([NodeRef(node="y")], {"x": NODE})


@pytest.mark.parametrize(
    "text",
    [
        "{}", '{"node":"x","tuple":[]}', '{"node":1}', '{"node":"__import__"}', '{"node":"a b"}', '{"eval":"1"}',
        '{"dtype":"qint8"}', '{"dtype":"__class__"}', '{"device":"cuda"}', '{"float":"1.0"}', '{"layout":"sparse_coo"}',
        '{"tuple":{}}', '{"tuple":[{"slice":[]}]}', '{"memory_format":"x"}', str(2**63), "1e999", "NaN",
        '"' + "a" * 201 + '"', "[" + "0," * 4096 + "0]", '{"node":["x"]}', '{"tuple":"ab"}',
    ],
)  # fmt: skip
def test_what_the_format_does_not_hold_is_refused_on_reading(text: str) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_json(text, strict=True)

"""Text from users stays text, wherever it is put into a page."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellego.decision_routes.page import embed_json, fill, pack_unit, text
from modellego.errors import LegoError


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=8))
def test_embedded_json_reads_back_and_cannot_end_the_script(value: object) -> None:
    raw = embed_json(value)
    assert json.loads(raw) == value
    assert not set(raw) & set("<>&\u2028\u2029")


@given(st.text())
def test_escaped_text_opens_no_tag_and_no_attribute(words: str) -> None:
    assert not set(text(words)) & set("<>\"'")


@given(st.text())
def test_filled_values_are_left_alone(words: str) -> None:
    assert fill("a{{one}}b", {"one": words}) == f"a{words}b"


def test_a_forgotten_value_is_named() -> None:
    with pytest.raises(LegoError, match="asks for two"):
        fill("{{one}}{{two}}", {"one": ""})


@given(st.lists(st.floats(0, 1), max_size=20))
def test_packed_numbers_are_exact_to_half_a_step(values: list[float]) -> None:
    steps = np.frombuffer(base64.b64decode(pack_unit(np.array(values))), "<u2")
    assert np.abs(steps / 65535 - np.array(values)).max(initial=0) <= 0.5 / 65535 + 1e-12

"""The info: what a brick may say about itself."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from modellego.brick import BrickInfo, Origin, make_info
from modellego.errors import FormatError
from modellego.preprocess import Preprocess

GOOD: dict[str, Any] = {"classes": ["a", "b"], "input_shape": [3, 8, 8]}
PRE = {"channels": 3, "height": 8, "width": 8, "mean": [0.0] * 3, "std": [1.0] * 3, "resize": "squash"}


def test_preprocess_is_the_dataclass_in_python() -> None:
    assert BrickInfo(**GOOD, preprocess=PRE).preprocess == Preprocess(3, 8, 8, (0.0,) * 3, (1.0,) * 3)


def test_info_survives_json() -> None:
    info = BrickInfo(
        **GOOD,
        preprocess=Preprocess(3, 8, 8),
        scores={"x": np.float64(0.5), "y": None},
        refit={"sizes": (1, 2)},
    )
    assert BrickInfo.model_validate_json(info.model_dump_json(), strict=True) == info


def test_info_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        BrickInfo(**GOOD).classes = ("c",)  # type: ignore[misc]


def test_changes_are_checked() -> None:
    with pytest.raises(FormatError, match="the class 'a' is there twice"):
        BrickInfo(**GOOD).changed(classes=("a", "a"))


def test_what_is_wrong_is_said_in_one_sentence() -> None:
    with pytest.raises(FormatError) as caught:
        make_info(classes=["a\nb"], input_shape=[0], extra=1)
    assert str(caught.value).startswith("a brick cannot have this info: classes.0: ")
    assert str(caught.value).endswith("more faults)")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"classes": []}, "at least 1"),
        ({"classes": ["a", "a"]}, "twice"),
        ({"classes": ["a\nb"]}, "line breaks"),
        ({"classes": [""]}, "at least 1 char"),
        ({"input_shape": None}, "input_shape"),
        ({"input_shape": [0, 8, 8]}, "greater than or equal to 1"),
        ({"input_shape": [3, 8, 10**9]}, "less than or equal"),
        ({"input_shape": [1, 8, 8], "preprocess": PRE}, "but the network reads"),
        ({"preprocess": PRE | {"std": [1.0, 1.0, 0.0]}}, "greater than 0"),
        ({"preprocess": PRE | {"mean": [0.0]}}, "one number for each"),
        ({"preprocess": PRE | {"mean": [float("nan")] * 3}}, "finite"),
        ({"preprocess": PRE | {"resize": "stretch"}}, "squash"),
        ({"preprocess": PRE | {"code": "x"}}, "Extra"),
        ({"kind": "assembled"}, "input_shape"),
        ({"kind": "wall"}, "assembled"),
        ({"outputs": "boxes"}, "features"),
        ({"extra": 1}, "Extra"),
        ({"scores": {"accuracy": float("nan")}}, "JSON"),
        ({"refit": {"x": object()}}, "JSON"),
        ({"refit": {"x": [[[[[[[[[1]]]]]]]]]}}, "nested more than 8 deep"),
        ({"reject": {"threshold": 1.0, "statistic": "mood"}}, "max_probability"),
        ({"format_version": 5}, "less than or equal to 4"),
        ({"notes": "\ud800"}, "surrogate|unicode"),
    ],
)
def test_nonsense_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        BrickInfo(**(GOOD | change))


def test_lineage_names_one_index_a_class() -> None:
    with pytest.raises(ValidationError, match="indices"):
        Origin(name="net", classes=("a", "b"), of=(1,))

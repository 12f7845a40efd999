"""The published schema: current, valid, and true of the bricks that are written."""

import json
from pathlib import Path
from typing import Any

import pytest

from modellego.brick import Assembled, Brick, save
from modellego.brick.format.schema import schema_text

PUBLISHED = Path(__file__).resolve().parents[3] / "docs" / "brick.schema.json"


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(json.loads(schema_text()))


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text() == schema_text(), "python -m modellego.brick.format.schema > docs/brick.schema.json"


def test_the_schema_is_a_schema(validator: Any) -> None:
    validator.check_schema(json.loads(schema_text()))


def test_bricks_fit_the_schema(full_brick: Brick, nested: Assembled, tmp_path: Path, validator: Any) -> None:
    for i, brick in enumerate((full_brick, nested)):
        text = (save(brick, tmp_path / str(i)) / "brick.json").read_text()
        validator.validate(json.loads(text))


@pytest.mark.parametrize(
    "where", [(), ("preprocess",), ("network",), ("network", "nodes", 0), ("cut",), ("sources", 0)]
)
def test_the_schema_forbids_unknown_keys(
    full_brick: Brick, tmp_path: Path, validator: Any, where: tuple[str | int, ...]
) -> None:
    document = json.loads((save(full_brick, tmp_path / "a") / "brick.json").read_text())
    place = document
    for key in where:
        place = place[key]
    place["novelty"] = 1
    assert not validator.is_valid(document)

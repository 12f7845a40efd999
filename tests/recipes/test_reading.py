"""The text of a recipe: values as YAML 1.2 means them, the line of each, and what is refused."""

import pytest

from modellego.errors import RecipeError
from modellego.recipes.reading import MAX_VALUES, read_yaml

TEXT = """# first
sources:
  net: zoo:lenet5   # a name with a colon

bricks:
  low: {classes: [no, 0-4, 'true', 010],
        share: 0.5}
"""


def test_every_value_knows_its_line() -> None:
    found = read_yaml(TEXT, "a.yaml")
    assert found.values["bricks"]["low"] == {"classes": ["no", "0-4", "true", 10], "share": 0.5}
    assert found.line(("sources", "net")) == 3
    assert found.line(("bricks", "low", "classes", 2)) == 6
    assert found.line(("bricks", "low", "share")) == 7
    assert found.line(("bricks", "low", "nothing", "there")) == 6


def test_an_error_names_file_line_and_place() -> None:
    error = read_yaml(TEXT, "a.yaml").error(("bricks", "low"), "there is no such brick")
    assert str(error) == "a.yaml:6: bricks.low: there is no such brick"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a.yaml is empty"),
        ("a: [1,\nb: 2", "a.yaml:2: this is no YAML"),
        ("a: 1\nb: 2\na: 3", "a.yaml:3: the key 'a' is there twice"),
        ("a: !!python/object:os.system {}", "a.yaml"),
        ("a: !run x", "a.yaml:1: a recipe has no tags"),
        ("? [a]\n: 1", "a.yaml:1: a key must be a word"),
        ("a: 1\n---\nb: 2", "a.yaml"),
        ("a: *b", "a.yaml:1"),
        ("a: &a [*a]", "20 deep"),
        ("a: &a [" + "1," * 200 + "]\nb: [" + "*a," * 200 + "]", f"at most {MAX_VALUES} values"),
        ("a: " + "[" * 5000, "brackets"),
        ("a: " + "[" * 400, "a.yaml"),
        ("a: " + "x" * 70_000, "larger than"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        read_yaml(text, "a.yaml")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)

"""What may stand in a recipe, and how the first fault is told."""

import pytest

from modellego.errors import RecipeError
from modellego.recipes.document import parse
from modellego.recipes.reading import read_yaml

GOOD = """recipe: 1
sources:
  net: a.py:net
data:
  digits: digits
bricks:
  low:
    source: net
    data: digits
    classes: 0-4
    budget: {macs: 0.5}
"""


def test_short_forms_are_the_long_ones() -> None:
    recipe = parse(read_yaml(GOOD, "a.yaml"))
    assert recipe.sources["net"].model == "a.py:net"
    assert recipe.data["digits"].train == ["digits"]
    assert recipe.bricks["low"].budget.macs == 0.5


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("classes: 0-4", "clases: 0-4", "a.yaml:10: bricks.low.clases: there is no such key: did you mean classes?"),
        ("    classes: 0-4\n", "", "a.yaml:7: bricks.low: classes is missing"),
        ("macs: 0.5", "macs: half", "a.yaml:11: bricks.low.budget.macs: input should be a valid number"),
        ("recipe: 1", "recipe: 2", "a.yaml:1: recipe: input should be 1"),
        ("  low:", "  ../low:", "a.yaml:7: bricks.../low: names hold letters"),
        ("budget: {macs: 0.5}", "refit_images: -1", "a.yaml:11: bricks.low.refit_images: input should be greater"),
        (GOOD, "- a\n- b", "a.yaml:1: a recipe has sections"),
    ],
)
def test_the_first_fault_is_told_with_its_line(before: str, after: str, words: str) -> None:
    assert before in GOOD
    with pytest.raises(RecipeError) as refused:
        parse(read_yaml(GOOD.replace(before, after), "a.yaml"))
    assert str(refused.value).startswith(words)


def test_further_faults_are_told_by_their_lines() -> None:
    text = GOOD.replace("classes: 0-4", "clases: 0-4").replace("macs: 0.5", "macs: half")
    with pytest.raises(RecipeError, match=r"did you mean classes\? \(more in line 11, 7\)"):
        parse(read_yaml(text, "a.yaml"))

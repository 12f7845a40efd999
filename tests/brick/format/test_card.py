"""The model card: what people and hubs read."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from modellego.brick import Assembled, Brick, save
from modellego.brick.format.card import model_card

MakeBrick = Callable[..., Brick]


def test_front_matter_comes_first(full_brick: Brick) -> None:
    front = model_card(full_brick, 0).split("---\n")[1]
    assert "library_name: modellego\npipeline_tag: image-classification\n" in front


def test_front_matter_is_yaml(full_brick: Brick) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(model_card(full_brick, 0).split("---\n")[1])["library_name"] == "modellego"


@pytest.mark.parametrize(
    "text",
    [
        "# Brick of 3 classes: cat, dog, fox",
        "| 1 | dog |",
        "| source | classes taken | which | parameters | MACs | licence of its weights | where they come from |",
        "| resnet | 3 of 10 | cat, dog, fox | 9 | 99 | not known | not known |",
        "ask who trained resnet under which licence",
        "thresholds: 8 of 12 channel groups kept (alpha 0.3, layers",
        "Refit: done (images 600",
        "| accuracy | 93.8 % |",
        "| base | not measured |",
        "It names 93.8 % of test images of its classes right.",
        "max_probability is below 0.4",
        "> Two lines.",
        "3 x 8 x 8 (channels x height x width)",
    ],
)
def test_the_card_says_what_the_info_holds(full_brick: Brick, text: str) -> None:
    assert text in model_card(full_brick, 0)


def test_names_are_no_markup(make_brick: MakeBrick) -> None:
    card = model_card(make_brick(("a|b", "<script>", "[x](y)")), 0)
    assert "| 0 | a\\|b |" in card
    assert "<script>" not in card
    assert "[x](y)" not in card


def test_an_assembled_brick_names_its_networks_and_joint(nested: Assembled) -> None:
    card = model_card(nested, 0)
    assert "Network 2 reads 3 x 8 x 8" in card
    assert "Joint: linear." in card
    assert "2 bricks side by side, each with its own preprocessing, their outputs combined." in card


def test_many_classes_are_cut_short(make_brick: MakeBrick) -> None:
    card = model_card(make_brick(tuple(f"c{i}" for i in range(300))), 0)
    assert "and 100 more" in card


def test_long_tables_stay_in_the_document(make_brick: MakeBrick) -> None:
    card = model_card(make_brick(refit={"images": 600, "stages": [{"before": 0.5, "after": 0.25}] * 53}), 0)
    assert "(images 600, stages (53 items, in `brick.json`))" in card


def test_what_was_done_is_written_for_people(make_brick: MakeBrick) -> None:
    refit = {"method": "least squares", "error_before": 0.08011768042477685, "budget": {"macs": 0.6, "latency": None}}
    card = model_card(make_brick(refit=refit), 0)
    assert "Refit: done (method least squares, error before 0.0801, budget macs 0.6)." in card


def test_the_code_in_the_card_runs(full_brick: Brick, images: torch.Tensor, tmp_path: Path) -> None:
    folder = save(full_brick, tmp_path / "a")
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    assert code is not None
    lines = code[1].replace("path/to/this/directory", str(folder)).replace("modellego.load", "modellego.brick.load")
    scope = {"images": images}
    exec(lines.replace("import modellego", "import modellego.brick, modellego"), scope)
    torch.testing.assert_close(scope["probabilities"].sum(1), torch.ones(4))
    assert len(code[1].strip().splitlines()) == 3


def test_lists_keep_their_own_letters(make_brick: MakeBrick) -> None:
    assert "Füße" in model_card(make_brick(refit={"layers": ["Füße"]}), 0)

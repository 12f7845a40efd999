"""Recipes that run: every step through its verb, finished steps reused, the recipe in the lineage of what it made."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import modellego as ml
from modellego.recipes.checking import check
from modellego.recipes.steps import open_recipe

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def made(place: Path) -> ml.RecipeResult:
    return ml.run("tiny.yaml")


def change(place: Path, before: str, after: str) -> None:
    text = (place / "tiny.yaml").read_text()
    assert before in text
    (place / "tiny.yaml").write_text(text.replace(before, after))


def reused(result: ml.RecipeResult) -> dict[str, bool]:
    return {step.name: step.reused for step in result.steps}


def test_every_step_is_what_its_verb_makes(place: Path, made: ml.RecipeResult) -> None:
    job = check(open_recipe("tiny.yaml", "elsewhere")).jobs["low"]
    direct = ml.disassemble(job.whole, "digits", "0-2", budget=ml.Budget(macs=0.7), refit_images=10, seed=3)
    low, high, both = (ml.load(place / f"tiny-bricks/{name}.brick") for name in ("low", "high", "both"))
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(low(images), direct(images))
    joined = ml.assemble([low, high], names=["low", "high"], calibrate="affine", data="digits", per_class=10, seed=3)
    assert torch.equal(both(images), joined(images))
    scored = ml.evaluate(both, "digits")
    assert made.steps[3].result["accuracy"] == scored.scores.accuracy == both.info.scores["accuracy"]
    assert (place / "tiny-bricks/low.pt2").is_file()


def test_what_it_made_holds_the_recipe(place: Path, made: ml.RecipeResult) -> None:
    both = ml.load("tiny-bricks/both.brick")
    assert ml.recipe(both) == (place / "tiny.yaml").read_text()
    assert both.info.recipe is not None
    assert both.info.recipe.step == "assembly both"
    assert ml.recipe("tiny-bricks/low.brick") == ml.recipe(both)
    assert both.info.sources[0].licence == "mit"
    assert both.info.sources[0].origin == "hf:me/net"
    with pytest.raises(ml.RecipeError, match="not made by a recipe"):
        ml.recipe(ml.disassemble(ml.load("tiny-bricks/low.brick"), "digits", "0,1", refit_images=0))


def test_finished_steps_are_reused_by_fingerprint(place: Path, made: ml.RecipeResult) -> None:
    assert not any(reused(made).values())
    assert all(reused(ml.run("tiny.yaml")).values())
    change(place, "classes: [7, 9]", "classes: [7, 8]")
    found = reused(ml.run("tiny.yaml", force=True))
    assert [name for name, was in found.items() if was] == ["brick low", "export low.pt2"]
    change(place, "# tiny", "# a remark changes nothing")
    assert all(reused(ml.run("tiny.yaml")).values())


def test_what_a_step_reads_and_wrote_is_looked_at(place: Path, made: ml.RecipeResult) -> None:
    (place / "nets.py").write_text((place / "nets.py").read_text() + "\n# changed\n")
    assert not any(step.finished for step in ml.plan("tiny.yaml").steps)
    (place / "nets.py").write_text((place / "nets.py").read_text().removesuffix("\n# changed\n"))
    ml.load("tiny-bricks/high.brick").save("tiny-bricks/low.brick", force=True)
    assert [s.name for s in ml.plan("tiny.yaml").steps if not s.finished] == ["brick low"]
    with pytest.raises(ml.RecipeError, match=r"tiny.yaml:10: bricks.low: .*low.brick exists"):
        ml.run("tiny.yaml")


def test_a_plan_does_nothing(place: Path) -> None:
    found = ml.plan("tiny.yaml")
    assert not (place / "tiny-bricks").exists()
    low = found.steps[0]
    assert (low.name, low.finished) == ("brick low", False)
    scored = int(ml.load_data("digits").test.counts[:3].sum())
    assert low.images == 3 * 30 + 2 * scored  # ranked, fitted twice, both models scored
    assert low.macs == low.images * (36 * 6 * 9 + 2160)
    assert "brick low" in found._repr_html_()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("source: net,", "source: nett,", "tiny.yaml:10: bricks.low.source: there is no source 'nett'"),
        ("macs: 0.7}, refit_images: 10}\n  high", "macs: 7}}\n  high", "tiny.yaml:10: bricks.low.budget: the budget"),
        ("classes: [7, 9]", "classes: [7, cat]", "tiny.yaml:11: bricks.high.classes: there is no class 'cat'"),
        ("digits: digits", "digits: nowhere/at all", "tiny.yaml:8: data.digits: there is no file or folder"),
        ("nets.py:net", "nets.py:nothing", "tiny.yaml:5: sources.net: "),
        (
            "by: affine",
            "by: hat",
            "tiny.yaml:13: calibration: there is no calibration 'hat': there are affine, head, prior",
        ),
        ("bricks: [low, high]", "bricks: [low, hi]", "tiny.yaml:12: assembly.bricks.1: there is no brick 'hi'"),
        ("model: assembly,", "model: rest,", "tiny.yaml:15: evaluation.0.model: there is no model 'rest'"),
        ("low.pt2", "low.onnx", "tiny.yaml:17: exports.0: low.onnx must end in .pt2"),
        ("low.pt2", "../low.pt2", "tiny.yaml:17: exports.0: low.pt2: name a file, without a folder"),
        ("name: both", "name: low", "tiny.yaml:12: assembly.name: there is a brick of that name"),
    ],
)
def test_faults_are_told_before_work_starts(place: Path, before: str, after: str, words: str) -> None:
    change(place, before, after)
    with pytest.raises(ml.RecipeError) as refused:
        ml.run("tiny.yaml")
    assert str(refused.value).startswith(words)
    assert not (place / "tiny-bricks").exists()


def test_the_commands_speak_json(place: Path) -> None:
    def modellego(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "modellego", *words], capture_output=True, text=True, check=False)

    text = (place / "tiny.yaml").read_text()
    (place / "tiny.yaml").write_text(text[: text.index("assembly:")])  # two bricks: the rest is tried above
    done = modellego("run", "tiny.yaml", "--json")
    assert [step["reused"] for step in json.loads(done.stdout)["steps"]] == [False, False]
    assert modellego("recipe", "tiny-bricks/low.brick").stdout == (place / "tiny.yaml").read_text()


@pytest.mark.parametrize("name", ["two-teams", "small-device"])
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    if name == "small-device":
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
        pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra export)")
    made = ml.run(EXAMPLES / f"{name}.yaml", tmp_path / "out")
    for step in made.steps:
        assert step.result["accuracy"] > 0.9


def test_the_example_with_published_weights_can_be_run(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout" / "examples").mkdir(parents=True)
    (tmp_path / "shared").symlink_to(shared)
    text = (EXAMPLES / "published.yaml").read_text().replace("refit_images: 50", "refit_images: 10")
    recipe = tmp_path / "checkout/examples/published.yaml"
    recipe.write_text(text)
    assert [step.name for step in ml.plan(recipe).steps] == ["brick pets", "brick wild", "assembly"]

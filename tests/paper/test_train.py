"""Training a source: a stopped training goes on from its checkpoint, a finished one is taken up as it is."""

from pathlib import Path

import torch

from modellego.paper import Run
from modellego.paper.sources import PREPROCESS, Sources
from modellego.paper.train import Recipe, trained


def test_finished_training_is_taken_up(made_up: Path, tmp_path: Path) -> None:
    data = Sources(made_up).data("mnist")
    recipe = Recipe("lenet5", 0.5, 1)
    first = trained(recipe, "mnist", data, PREPROCESS["mnist"], tmp_path)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    again = trained(recipe, "mnist", data, PREPROCESS["mnist"], tmp_path)
    assert file.stat().st_mtime_ns == written
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_published_resnet_is_not_trained_again() -> None:
    assert Run("x", Path(), Path(), network="resnet32").own_recipe is None


def test_width_means_training() -> None:
    recipe = Run("x", Path(), Path(), network="vgg16", width=0.25, epochs=3).own_recipe
    assert recipe == Recipe("vgg16", 0.25, 3, 0.02, 64)


def test_by_default_the_recipe_is_the_papers() -> None:
    recipe = Recipe("vgg16")
    assert (recipe.lr, recipe.epochs, recipe.batch_size) == (0.01, 200, 256)

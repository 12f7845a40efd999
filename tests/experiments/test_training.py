"""Training a source: a stopped training goes on from its checkpoint, a finished one is taken up as it is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.frame.run import Run
from experiments.study import training
from experiments.study.sources import Sources
from experiments.study.training import Recipe, find_trained, read_source, short, train, trained
from modellego.errors import DataError, LegoError

RECIPE = Recipe("lenet5", "mnist", 0.5, 2, 0.05, 32, 5e-4, 0.0, "float32", "contiguous", 0)


def silent(text: str) -> None:
    pass


def test_the_checkpoint_keeps_its_form(made_up: Path, tmp_path: Path) -> None:
    train(RECIPE, Sources(made_up).data("mnist"), tmp_path, say=silent)
    assert {f.name for f in tmp_path.iterdir()} == {
        f"mnist-lenet5-w0.5-e2-s0{e}" for e in (".pt", ".safetensors", ".json")
    }
    found = torch.load(tmp_path / f"{RECIPE.name}.pt", weights_only=True)
    assert set(found) == {"recipe", "model", "log", "optimizer", "schedule"}
    assert set(found["recipe"]) == {
        *("network", "dataset", "width", "epochs", "learning_rate", "batch_size", "weight_decay", "label_smoothing"),
        *("precision", "memory_format", "seed"),
    }


def test_a_stopped_training_gives_the_same_weights(
    made_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Sources(made_up).data("mnist")
    whole = train(RECIPE, data, tmp_path / "whole", say=silent)
    epoch = training.epoch

    def stops(*given: object) -> tuple[float, float]:
        if given[-1] == 2:
            raise KeyboardInterrupt
        return epoch(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "epoch", stops)
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, data, tmp_path / "stopped", say=silent)
    monkeypatch.setattr(training, "epoch", epoch)
    again = train(RECIPE, data, tmp_path / "stopped", say=silent)
    assert again["sha256"] == whole["sha256"]
    assert [e["epoch"] for e in again["epochs"]] == [1, 2]


def test_another_recipe_does_not_take_up_the_checkpoint(made_up: Path, tmp_path: Path) -> None:
    data = Sources(made_up).data("mnist")
    train(RECIPE, data, tmp_path, say=silent)
    with pytest.raises(LegoError, match="of another recipe: move it away"):
        train(replace(RECIPE, learning_rate=0.1), data, tmp_path, say=silent)


def test_finished_training_is_taken_up(made_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, recipe = Sources(made_up).data("mnist"), short("lenet5", "mnist", 1, 0)
    first = trained(recipe, data, tmp_path)
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("trained again"))
    again = trained(recipe, data, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def _half(trained: Path, folder: Path) -> Path:
    """Return a folder with the sources of half the width alone: other tests train others into the same place."""
    own = folder / "half"
    own.mkdir()
    for file in trained.glob("*lenet5-w0.5*"):
        shutil.copy(file, own)
    return own


def test_other_weights_than_described_are_refused(made_up: Path, trained: Path, tmp_path: Path) -> None:
    file = find_trained(_half(trained, tmp_path), "cifar10", "lenet5")
    (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / file.with_suffix(".safetensors").name).write_bytes(b"other")
    with pytest.raises(DataError, match=r"is not what .* describes"):
        read_source(tmp_path / file.name, Sources(made_up).data("cifar10"))


def test_a_source_is_found_by_network_or_longer_name(trained: Path, tmp_path: Path) -> None:
    trained = _half(trained, tmp_path)
    found = find_trained(trained, "cifar10", "lenet5")
    assert found.name == "cifar10-lenet5-w0.5-e1-s0.json"
    assert find_trained(trained, "cifar10", "lenet5-w0.5") == found


def test_an_unfinished_source_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "cifar10-vgg16-w1-e2-s0.json").write_text(json.dumps({"epochs": []}))
    with pytest.raises(LegoError, match=r"no trained vgg16 of cifar10 .*train-source vgg16 cifar10.*--sources"):
        find_trained(tmp_path, "cifar10", "vgg16")


def test_several_sources_are_named(tmp_path: Path) -> None:
    for width in ("1", "0.5"):
        (tmp_path / f"cifar10-vgg16-w{width}-e2-s0.json").write_text(json.dumps({"sha256": ""}))
    with pytest.raises(LegoError, match=r"several trained vgg16 .*vgg16-w0.5-e2-s0, vgg16-w1-e2-s0"):
        find_trained(tmp_path, "cifar10", "vgg16")


def test_a_published_resnet_is_not_looked_for_among_the_trained(shared: Path, tmp_path: Path) -> None:
    subject = Run("x", shared, tmp_path, tmp_path, network="resnet20", limit=20).subject("cifar10")
    assert subject.name == "cifar10_resnet20"

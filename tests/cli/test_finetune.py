"""`modellego finetune` and `modellego distill` from end to end on the embedded digits."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from modellego.brick import load
from modellego.cli.app import app
from modellego.errors import LegoError
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick

QUICK = ["--data", "digits", "--epochs", "2", "--no-flip", "--shift", "0", "--device", "cpu", "--lr", "0.05"]


@pytest.fixture
def brick(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    return whole_brick(net, Preprocess(1, 8, 8), ["0", "1", "2"], "linear").save(tmp_path / "a.brick")


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_finetune_writes_a_better_brick(brick: Path, tmp_path: Path) -> None:
    found = json.loads(run("finetune", brick, *QUICK, "-o", tmp_path / "b.brick", "--json"))
    assert found["accuracy"] > 0.8 > found["accuracy_before"]
    assert load(tmp_path / "b.brick").info.scores["brick_accuracy"] == found["accuracy"]


def test_finetune_leaves_no_checkpoint(brick: Path, tmp_path: Path) -> None:
    run("finetune", brick, *QUICK, "-o", tmp_path / "b.brick")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.brick", "b.brick"]


def test_a_checkpoint_is_not_overwritten(brick: Path, tmp_path: Path) -> None:
    (tmp_path / "b.brick.checkpoint").write_bytes(b"hours of work")
    with pytest.raises(LegoError, match="--resume"):
        run("finetune", brick, *QUICK, "-o", tmp_path / "b.brick")


def test_the_curve_is_printed(brick: Path, tmp_path: Path) -> None:
    assert "held-out loss" in run("finetune", brick, *QUICK, "-o", tmp_path / "b.brick")


def test_distill_writes_a_student(brick: Path, tmp_path: Path) -> None:
    options = ["--width", "0.5", "--classes", "0-1", "-o", tmp_path / "s.brick", "--json"]
    found = json.loads(run("distill", brick, "zoo:lenet5", *QUICK, *options))
    assert load(tmp_path / "s.brick").classes == ("0", "1")
    assert found["distillation"] == {"temperature": 4.0, "share": 0.9}


def test_a_brick_may_be_the_student(brick: Path, tmp_path: Path) -> None:
    assert "teacher and student" in run("distill", brick, brick, *QUICK, "-o", tmp_path / "s.brick")


def test_training_that_harms_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3))
    untrained = whole_brick(net, Preprocess(1, 8, 8), ["0", "1", "2"], "deep").save(tmp_path / "untrained.brick")
    good = tmp_path / "good.brick"
    run("finetune", untrained, *QUICK, "-o", good)
    harm = [*QUICK, "--lr", "1000", "-o", tmp_path / "b.brick"]  # such steps leave hidden units that are always off
    assert "the model stays as it was" in " ".join(run("finetune", good, *harm).split())
    before, after = load(good).state_dict(), load(tmp_path / "b.brick").state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())

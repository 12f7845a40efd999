"""`modellego disassemble --tune` from end to end on the embedded digits."""

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from modellego.brick import load
from modellego.cli.app import app
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("tune")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    whole = whole_brick(net, Preprocess(1, 8, 8), [str(i) for i in range(10)], "small").save(folder / "a.brick")
    words = ["disassemble", str(whole), "--data", "digits", "--classes", "0-2", "--macs", "0.5", "--refit-images", "20"]
    done = CliRunner().invoke(app, [*words, "--tune", "24", "-o", str(folder / "b.brick")])
    assert done.exit_code == 0, done.output
    return folder / "b.brick", " ".join(done.output.split())


def test_the_agreement_is_said(tuned: tuple[Path, str]) -> None:
    _, said = tuned
    assert "held-out images answered as the source does" in said or "it stays as refitted" in said


def test_the_brick_says_how_it_was_tuned(tuned: tuple[Path, str]) -> None:
    refit = load(tuned[0]).info.refit
    assert refit is not None
    record = refit["tuning"]
    assert isinstance(record, dict)
    assert record["steps"] == 24
    assert {"lr", "kept_steps", "before", "after"} <= record.keys()

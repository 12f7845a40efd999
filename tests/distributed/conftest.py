"""A small network saved as a brick, and `torchrun` as a user starts it: several real processes on this machine."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from modellego.brick import load
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick

ROOT = Path(__file__).resolve().parents[2]
Torchrun = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A brick of two convolutions and two linear layers for the ten digits, drawn at random."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(768, 16), nn.ReLU(), nn.Linear(16, 10)),
    )
    path = tmp_path_factory.mktemp("whole") / "whole.brick"
    whole_brick(net.eval(), Preprocess(1, 8, 8), [str(digit) for digit in range(10)], "small").save(path)
    assert load(path).classes[0] == "0"
    return path


@pytest.fixture
def torchrun(tmp_path: Path) -> Torchrun:
    """Start `count` processes of a Python file or module, as torchrun does, in a folder of their own."""

    def start(count: int, *arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        return subprocess.run(
            [*words, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return start

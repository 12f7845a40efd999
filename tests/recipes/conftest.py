"""A folder with a recipe of two tiny models, and what it makes."""

from pathlib import Path

import pytest

NETS = """
import torch
from torch import nn


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 10))


def other():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
"""
RECIPE = """# tiny
recipe: 1
seed: 3
sources:
  net: {model: "nets.py:net", mean: 0, std: 1, licence: mit, origin: "hf:me/net"}
  other: {model: "nets.py:other", mean: 0, std: 1}
data:
  digits: digits
bricks:
  low: {source: net, data: digits, classes: 0-2, budget: {macs: 0.7}, refit_images: 10}
  high: {source: other, data: digits, classes: [7, 9], budget: {macs: 0.7}, refit_images: 10}
assembly: {bricks: [low, high], name: both}
calibration: {by: affine, data: digits, per_class: 10}
evaluation:
  - {model: assembly, data: digits}
exports:
  - {model: low, file: low.pt2, to: pt2}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipe and its models, as the working directory."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path

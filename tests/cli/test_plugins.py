"""Plugins on the command line, in processes of their own: a file named by --plugin, and an installed package's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugin.py"
NETWORK = """
import torch
from torch import nn
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path


def run(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [
        sys.executable, "-m", "modellego", "disassemble", "net.py:net", "--data", "digits", "--classes", "0-2",
        "--input-size", "8", "--channels", "1", "--macs", "0.6", "--refit-images", "5", "-o", "a.brick", "--json",
        *arguments,
    ]  # fmt: skip
    return subprocess.run(
        line, cwd=place, capture_output=True, text=True, check=False, timeout=120, env=os.environ | environment
    )


def test_a_plugin_named_on_the_command_line_ranks(place: Path) -> None:
    done = run(place, "--plugin", str(EXAMPLE), "--criterion", "fan_out")
    assert done.returncode == 0, done.stderr
    assert json.loads((place / "a.brick" / "brick.json").read_text())["cut"]["criterion"] == "fan_out"


def test_a_plugin_that_is_not_there_is_refused_before_work(place: Path) -> None:
    done = run(place, "--plugin", "nowhere.py", "--criterion", "fan_out")
    assert (done.returncode, "there is no plugin nowhere.py" in done.stderr) == (2, True)
    assert not (place / "a.brick").exists()


def test_an_installed_package_registers_by_its_entry_point(place: Path) -> None:
    site = place / "site"
    info = site / "lego_ideas-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lego-ideas\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[modellego.plugins]\nideas = lego_ideas\n")
    (site / "lego_ideas.py").write_text(EXAMPLE.read_text())
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    done = run(place, "--criterion", "fan_out", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert json.loads((place / "a.brick" / "brick.json").read_text())["cut"]["criterion"] == "fan_out"

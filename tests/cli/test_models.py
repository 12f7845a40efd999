"""Models as people have them, through real processes: what is said of them before work starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

NETS = '''
import torch
from torch import nn


def colours(scale=5.0):
    """Tells images by their mean colour."""
    net = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    torch.nn.init.zeros_(net[0].bias)
    net[0].weight.data = torch.cat([torch.eye(3), torch.rand(3, 3) / 10])[:, :, None, None]
    net[4].weight.data = torch.cat([torch.eye(3), torch.zeros(3, 3)], 1) * scale
    return net.eval()


class Middle(nn.Module):
    """Tells whether blue is above or below the middle of images that were normalised."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1, bias=False)
        self.conv.weight.data = torch.tensor([[0, 0, 1.0], [0, 0, -1], [1, 0, 0], [0, 1, 0]])[:, :, None, None]
        self.last = nn.Linear(4, 3, bias=False)
        self.last.weight.data = torch.tensor([[0, 9.0, 0, 0], [0, 0, 0, 0], [9, 0, 0, 0]])

    def forward(self, x):
        return self.last(self.conv(x).mean((2, 3)).relu()).softmax(1)


def wrapped():
    return nn.DataParallel(torch.compile(colours()))
'''
CLASSES = ("5", "6", "7")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 20 images of each of three classes named by numbers, and networks that tell them by colour."""
    place = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (place / "digits" / name).mkdir(parents=True)
        for i in range(20):
            pixels = random.integers(0, 90, (8, 8, 3)).astype(np.uint8)
            pixels[..., number] += 100
            Image.fromarray(pixels).save(place / "digits" / name / f"{i}.png")
    (place / "nets.py").write_text(NETS)
    return place


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "modellego", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def refusal(folder: Path, *arguments: str) -> str:
    """The one line of a process that must fail, having written nothing."""
    before = sorted(folder.rglob("*.brick"))
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert sorted(folder.rglob("*.brick")) == before
    return done.stderr


def test_a_mean_of_bytes_is_refused_with_what_was_meant(folder: Path) -> None:
    options = ("--mean", "123.675,116.28,103.53", "--std", "58.395,57.12,57.375")
    found = refusal(folder, "evaluate", "nets.py:colours", "--data", "digits", *options)
    assert "divide by 255, mean 0.485,0.456,0.406, and std 0.229,0.224,0.225" in found


def test_numbers_that_are_names_are_not_taken_for_indices(folder: Path) -> None:
    found = refusal(
        folder, "disassemble", "nets.py:colours", "--data", "digits", "--classes", "0-1", "-o", "first.brick"
    )
    assert "no class named '0': there are 5, 6, 7; " in found
    assert "write index:0-1 for the classes 5, 6" in found


def test_a_wrapped_model_and_an_exported_program_are_cut_alike(folder: Path) -> None:
    space: dict[str, object] = {}
    exec(NETS, space)
    torch.manual_seed(0)
    net = space["colours"]()  # type: ignore[operator]
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(net, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=shapes)
    torch.export.save(program, folder / "net.pt2")
    for spec in ("nets.py:wrapped", "net.pt2"):
        out = f"{spec.split('.')[-1].replace(':', '_')}.brick"
        done = run(folder, "disassemble", spec, "--data", "digits", "--classes", "5-6", "-o", out, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["classes"] == ["5", "6"]


def test_a_torchscript_file_is_told_the_way(folder: Path) -> None:
    space: dict[str, object] = {}
    exec(NETS, space)
    traced = torch.jit.trace(space["colours"](), torch.zeros(1, 3, 8, 8))  # type: ignore[operator, no-untyped-call]
    traced.save(folder / "net.pt")
    found = refusal(folder, "inspect", "net.pt")
    assert "is TorchScript, which cannot be captured: name the PyTorch model" in found


def test_a_forgotten_normalisation_and_a_softmax_are_said_before_work(folder: Path) -> None:
    for name in ("5", "7"):
        (folder / "blue" / name).mkdir(parents=True)
        for file in (folder / "digits" / name).iterdir():
            (folder / "blue" / name / file.name).write_bytes(file.read_bytes())
    model = ("nets.py:Middle", "--data", "blue", "--class-names", "5,6,7", "--json")
    done = run(folder, "evaluate", *model)
    assert done.returncode == 0, done.stderr
    softmax, tried = done.stderr.splitlines()
    assert "ends in softmax: it is left out" in softmax
    assert "20 of 40 train images are right as it is, 40 with ImageNet's mean 0.485,0.456,0.406" in tried
    assert "(--mean and --std)" in tried
    told = run(folder, "evaluate", *model, "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")
    assert len(told.stderr.splitlines()) == 1  # the softmax alone
    assert json.loads(told.stdout)["accuracy"] == 1.0

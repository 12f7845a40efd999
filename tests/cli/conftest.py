"""A folder with image files and a model file to give to the command line, and ways to run it."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from modellego.cli import main
from tests.cli.forks import process

MODELS = '''
import torch
from torch import nn


def good():
    """Tells images by their mean colour: red cats, green dogs, blue foxes."""
    net = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    torch.nn.init.zeros_(net[0].bias)
    net[0].weight.data = torch.cat([torch.eye(3), torch.rand(3, 3) / 10])[:, :, None, None]
    net[4].weight.data = torch.cat([torch.eye(3), torch.zeros(3, 3)], 1) * 5
    return net


def segments(): return nn.Conv2d(3, 3, 3)
def four(): return nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = good()

    def forward(self, x):
        return self.body(torch.special.bessel_j0(x))


class Branch(Odd):
    def forward(self, x):
        y = self.body(x)
        return y if y.sum() > 0 else -y


class Named(Odd):
    def forward(self, x): return {"scores": self.body(x)}
'''
CLASSES = ("cat", "dog", "fox")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pets` (train and test, 4 images per class), variants that are broken, a model file and weights."""
    folder = tmp_path_factory.mktemp("place")
    random = np.random.default_rng(0)
    for data in ("pets", "corrupt", "without_fox", "empty_fox"):
        for split in ("train", "test"):
            for number, name in enumerate(CLASSES):
                where = folder / data / split / name
                where.mkdir(parents=True)
                for i in range(4):
                    pixels = random.integers(0, 90, (8, 8, 3)).astype(np.uint8)
                    pixels[..., number] += 100
                    Image.fromarray(pixels).save(where / f"{i}.png")
    (folder / "corrupt/test/dog/2.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    for file in (folder / "without_fox/train/fox").iterdir():
        file.unlink()
    (folder / "without_fox/train/fox").rmdir()
    for file in (folder / "empty_fox/train/fox").iterdir():
        file.unlink()
    (folder / "big").mkdir()
    for i in range(20):  # of other sizes than the model's input, some grey
        pixels = random.integers(0, 255, (10 + i, 12, 3)).astype(np.uint8)
        Image.fromarray(pixels if i % 4 else pixels[..., 0]).save(folder / "big" / f"{i}.jpg")
    for name, where in (("moggy", "cat"), ("hound", "dog"), ("fox", "fox"), ("zebra", "fox")):
        shutil.copytree(folder / "pets/test" / where, folder / "animals" / name)
    (folder / "map.txt").write_text("moggy=pet\nhound=pet\n")
    (folder / "nets.py").write_text(MODELS)
    (folder / "note.txt").write_text("no brick")
    (folder / "taken.brick").mkdir()
    (folder / "taken.png").write_bytes(b"kept")
    save_file({"a": torch.zeros(2)}, folder / "other.safetensors")
    torch.save(torch.nn.Linear(2, 2), folder / "pickled.pt")
    (folder / "broken.safetensors").write_bytes(b"12345")
    return folder


@pytest.fixture
def within(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, as the working directory."""
    monkeypatch.chdir(place)
    return place


Process = subprocess.CompletedProcess[str]
Road = dict[str, dict[str, Any]]


def said(done: Process) -> dict[str, Any]:
    """The one JSON object a process printed."""
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="session")
def road(place: Path) -> dict[str, dict[str, Any]]:
    """The whole road through real processes, in one folder: what each command said as JSON."""
    model = ("nets.py:good", "--data", "pets", "--json")
    pair = ("one.brick", "two.brick", "--data", "pets", "--json")
    steps: dict[str, tuple[object, ...]] = {
        "disassemble": ("disassemble", *model, "--classes", "cat,dog", "-o", "two.brick"),
        "again": ("disassemble", "two.brick", "--data", "pets", "--json", "--classes", "dog", "-o", "one.brick"),
        "assemble": ("assemble", *pair, "-o", "new.brick"),
        "merged": ("assemble", *pair, "--merge-equal-classes", "-o", "merged.brick"),
        "ablation": ("ablation", *pair, "--merge-equal-classes"),
        "evaluate": ("evaluate", "two.brick", "--data", "pets", "--json"),
        "wary": ("disassemble", *model, "--classes", "cat,dog", "--reject", "-o", "wary.brick"),
        "wary evaluate": ("evaluate", "wary.brick", "--data", "pets", "--json"),
        "wary predict": ("predict", "wary.brick", "pets/test/fox", "--json"),
        "unlabelled": ("disassemble", *model, "--classes", "0-1", "--refit-data", "big", "-o", "unlabelled.brick"),
        "predict": ("predict", "two.brick", "pets/test/cat", "--json"),
        "joined": (*("disassemble", *model, "--classes", "pet=cat,pet=dog,fox"), "-o", "joined.brick"),
        "joined evaluate": (*("evaluate", "joined.brick", "--data", "animals"), "--class-map", "map.txt", "--json"),
        "curve": ("curve", *model, "--classes", "cat,dog", "--points", "1,0.7", "--refit-images", "10"),
        "thresholds": ("thresholds", *model, "--classes", "cat,dog", "--vary", "linear-beta", "--values", "0,0.9"),
        "inspect": ("inspect", "nets.py:good", "--input-size", "8", "--json"),
    }
    return {key: said(process(*arguments, cwd=place)) for key, arguments in steps.items()}


@pytest.fixture
def fails(within: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Run a command that must fail: exit code 2, nothing on stdout, nothing written; returns its one line."""

    def run(line: str) -> str:
        before = {p for p in within.rglob("*") if "__pycache__" not in p.parts}
        with pytest.raises(SystemExit) as stop:
            main(line.split())
        found = capsys.readouterr()
        assert stop.value.code == 2
        assert found.out == ""
        assert {p for p in within.rglob("*") if "__pycache__" not in p.parts} == before
        assert found.err.count("\n") == 1, found.err
        assert "unforeseen" not in found.err
        return found.err

    return run

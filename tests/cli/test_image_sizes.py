"""Folders of images of unlike sizes through real processes: `predict` and `evaluate` say the same of the same files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .conftest import CLASSES, MODELS, said
from .forks import process

EACH, ODD = 90, 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """Photos of three classes, the last of each of odd sizes; two bricks and both put together, and what was said."""
    folder, random = tmp_path_factory.mktemp("unlike"), np.random.default_rng(0)
    (folder / "nets.py").write_text(MODELS)
    for split in ("train", "test"):
        for label, name in enumerate(CLASSES):
            (folder / "photos" / split / name).mkdir(parents=True)
            for number in range(EACH):
                height, width = (8, 8) if number < EACH - ODD else random.integers(4, 40, 2).tolist()
                pixels = random.integers(0, 90, (height, width, 3)).astype(np.uint8)
                pixels[:, width // 3 :, label] += 100
                Image.fromarray(pixels).save(folder / "photos" / split / name / f"{number:02}.png")
    model = ("nets.py:good", "--data", "photos", "--json", "--input-size", "8")
    steps = (
        ("disassemble", *model, "--classes", "cat,dog", "-o", "two.brick"),
        ("disassemble", *model, "--classes", "fox", "-o", "one.brick"),
        ("assemble", "two.brick", "one.brick", "--calibrate", "head", "--data", "photos", "-o", "all.brick", "--json"),
        ("evaluate", "all.brick", "--data", "photos", "--json"),
        ("predict", "all.brick", "photos/test", "--json"),
    )
    return folder, {str(step[0]): said(process(*step, cwd=folder)) for step in steps}


def test_every_file_has_one_prediction(made: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    _, told = made
    files = [row["file"] for row in told["predict"]["predictions"]]
    assert len(files) == len(set(files)) == 3 * EACH == told["evaluate"]["images"]


def test_predict_and_evaluate_see_the_same_pixels(made: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    _, told = made
    confusion = {name: dict.fromkeys(CLASSES, 0) for name in CLASSES}
    for row in told["predict"]["predictions"]:
        confusion[Path(row["file"]).parent.name][row["class"]] += 1
    assert told["evaluate"]["classes"] == list(CLASSES)
    assert told["evaluate"]["confusion"] == [list(row.values()) for row in confusion.values()]


def test_a_file_among_others_is_as_likely_as_alone(made: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    folder, told = made
    row = told["predict"]["predictions"][-1]
    (alone,) = said(process("predict", "all.brick", row["file"], "--json", cwd=folder))["predictions"]
    assert alone["probability"] == pytest.approx(row["probability"], abs=1e-5)

"""Heat maps of a reproduction: few samples of few classes are kept and drawn, files are named after the layer."""

from pathlib import Path

import numpy as np
import pytest

from experiments.heatmaps import DRAWN, draw, heat_row
from modellego.heatmaps import HeatMap, class_similarity

CLASSES = tuple(f"class {k}" for k in range(DRAWN + 2))
LABELS = np.repeat(np.arange(len(CLASSES)), DRAWN + 5)
VALUES = np.random.default_rng(0).uniform(size=(len(LABELS), 6))
MAP = HeatMap("layer3.2.conv2", CLASSES, VALUES[: len(CLASSES)], VALUES, LABELS, class_similarity(VALUES, LABELS))


def test_few_samples_of_few_classes_are_kept() -> None:
    row = heat_row(MAP)
    assert row["labels"] == [k for k in range(DRAWN) for _ in range(DRAWN)]
    np.testing.assert_allclose(row["by_sample"][DRAWN], VALUES[DRAWN + 5], atol=5e-4)
    assert row["samples"] == len(LABELS)


def test_files_bear_the_whole_layers_name(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    files = draw(heat_row(MAP), tmp_path / "heatmaps-made.up-layer3.2.conv2")
    stem = "heatmaps-made-up-layer3-2-conv2"
    assert {f.name for f in files} == {f"{stem}{more}{end}" for more in ("", "-samples") for end in (".png", ".svg")}
    assert all(f.stat().st_size for f in files)

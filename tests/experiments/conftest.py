"""A folder of small made-up data sets that bear the real ones' names, so that no download is needed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.frame.run import Run
from experiments.study.sources import Sources
from experiments.study.training import Recipe, train

SETS = {"cifar10": (10, 3, 32), "cifar100": (100, 3, 32), "mnist": (10, 1, 28), "fashion-mnist": (10, 1, 28)}
TRAIN, TEST = 8, 3  # images per class


def _png(pixels: np.ndarray) -> bytes:
    from io import BytesIO

    from PIL import Image

    out = BytesIO()
    Image.fromarray(pixels.squeeze()).save(out, "png")
    return out.getvalue()


def _write(folder: Path, name: str, classes: int, channels: int, side: int) -> None:
    random = np.random.default_rng(0)
    tones = random.integers(40, 200, (classes, 4, 4, channels))
    names = [f"{name}-{k}" for k in range(classes)]
    if name == "cifar10":
        names[1], names[5] = "automobile", "dog"
    (folder / name).mkdir(parents=True)
    for split, count in (("train", TRAIN), ("test", TEST)):
        labels = [k for k in range(classes) for _ in range(count)]
        images = [
            np.kron(tones[k], np.ones((side // 4, side // 4, 1))) + random.integers(0, 50, (side, side, channels))
            for k in labels
        ]
        columns = {"image": [{"bytes": _png(i.astype(np.uint8)), "path": None} for i in images], "label": labels}
        made = pa.table(columns).replace_schema_metadata({"class_names": "\n".join(names)})
        pq.write_table(made, folder / name / f"{split}-00000-of-00001.parquet")


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of data sets."""
    folder = tmp_path_factory.mktemp("made-up")
    for name, (classes, channels, side) in SETS.items():
        _write(folder, name, classes, channels, side)
    return folder


@pytest.fixture(scope="session")
def trained(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which both CIFAR-like sources are trained already."""
    out = tmp_path_factory.mktemp("trained")
    for dataset in ("cifar10", "cifar100"):
        recipe = Recipe("lenet5", dataset, 0.5, 1, 0.05, 32, 5e-4, 0.0, "float32", "contiguous", 0)
        train(recipe, Sources(made_up).data(dataset), out, say=lambda text: None)
    return out


@pytest.fixture
def run_of(made_up: Path, trained: Path):
    """Make a run of any reproduction with the small trained sources."""

    def make(name: str) -> Run:
        return Run(
            name, made_up, trained, trained, network="lenet5-w0.5", own={"epochs": 1}, chosen={}, say=lambda text: None
        )

    return make

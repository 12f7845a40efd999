"""Small image folders and parquet files, made on the spot."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


def pixels(value: int, size: tuple[int, int] = (6, 5), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (size[1], size[0]), (value,) * 3 if mode == "RGB" else value)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Classes cat and dog with three images each; every pixel of image i of a class has the value 10 i."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(3):
            pixels(10 * i).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def png(value: int) -> bytes:
    stream = io.BytesIO()
    pixels(value).save(stream, "PNG")
    return stream.getvalue()


Writer = Callable[..., Path]


@pytest.fixture
def write_parquet(tmp_path: Path) -> Writer:
    """Writes a shard whose image i has the value i everywhere, in row groups of two."""

    def write(
        name: str,
        labels: Sequence[object],
        *,
        image: str = "image",
        label: str = "label",
        images: Sequence[object] | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = images or [{"bytes": png(i), "path": f"{i}.png"} for i in range(len(labels))]
        table = pa.table({image: cells, label: list(labels)}).replace_schema_metadata(metadata)
        pq.write_table(table, path, row_group_size=2)
        return path

    return write


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)

"""Image files and folders made to hang, to fill the memory, or to give images the wrong class."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from modellego.data import image_files, load_data, load_image
from modellego.errors import DataError
from modellego.preprocess import resized


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two class folders of three images each."""
    for label in ("0", "1"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (4, 4), i).save(tmp_path / "data" / label / f"{i}.png")
    return tmp_path / "data"


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="not a plain file"):
        load_image(tmp_path / "pipe.png")


def test_a_link_to_a_device_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="not a plain file"):
        load_image(tmp_path / "zero.png")


def test_a_link_to_an_image_is_one(classes: Path) -> None:
    (classes / "0" / "again.png").symlink_to(classes / "0" / "1.png")
    assert load_image(classes / "0" / "again.png").shape == (1, 4, 4)


@pytest.mark.parametrize("target", ["..", ".", "../1", "../../data"])
def test_a_link_back_into_the_data_is_refused(classes: Path, target: str) -> None:
    (classes / "0" / "l").symlink_to(target)
    with pytest.raises(DataError, match="link"):
        load_data(classes)


def test_a_link_to_a_folder_elsewhere_is_followed(classes: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "more" / "x.png")
    (classes / "0" / "l").symlink_to(tmp_path / "more")
    assert len(image_files([classes / "0"])) == 4


def test_a_long_thin_image_is_cropped_before_it_is_enlarged() -> None:
    image = torch.zeros(1, 3, 1, 20_000)
    image[..., 9_990:10_010] = 1
    assert resized(image, (224, 224), "crop").shape == (1, 3, 224, 224)
    assert resized(image, (224, 224), "crop").min() == 1  # its centre


def test_images_of_usual_shapes_are_cropped_as_before() -> None:
    image = torch.rand(1, 3, 40, 300)
    whole = torch.nn.functional.interpolate(image, (8, 60), mode="bilinear", antialias=True)
    assert torch.equal(resized(image, (8, 8), "crop"), whole[..., 26:34])


def _parquet(path: Path, labels: pa.Array, images: pa.Array) -> Path:
    pq.write_table(pa.table({"image": images, "label": labels}), path)
    return path


def _png() -> bytes:
    from io import BytesIO

    out = BytesIO()
    Image.new("L", (4, 4)).save(out, "png")
    return out.getvalue()


def test_a_label_of_2_to_the_40_makes_no_names(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "a.parquet", pa.array([0, 2**40]), pa.array([_png(), _png()]))
    with pytest.raises(DataError, match="labels count the classes"):
        load_data(path)


def test_rows_that_the_bytes_cannot_hold_are_refused(tmp_path: Path) -> None:
    rows = 2_000_000
    images = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([_png()]))
    path = _parquet(tmp_path / "a.parquet", pa.array(np.zeros(rows, np.int64)), images)
    assert path.stat().st_size < 2**16
    with pytest.raises(DataError, match="claims 2000000 images"):
        load_data(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.png"])
def test_a_shard_reads_no_file_outside_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.png").write_bytes(_png())
    (tmp_path / "in").mkdir()
    images = pa.array([{"bytes": None, "path": name}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    data = load_data(_parquet(tmp_path / "in" / "a.parquet", pa.array([0]), images))
    store = data.train if data.train is not None else data
    with pytest.raises(DataError, match="does not lie beside"):
        store.read(0)


def test_a_name_that_is_not_utf8_can_be_read_and_named(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    with open(folder + b"/\xff.png", "wb") as file:
        file.write(_png())
    (path,) = image_files([tmp_path])
    assert load_image(path).shape == (1, 4, 4)

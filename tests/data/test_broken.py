"""Broken images are counted, named and left out, or refused where they are more than may be."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modellego.data import Data, load_data
from modellego.data.broken import skip_broken
from modellego.errors import DataError


@pytest.fixture
def pets(tmp_path: Path) -> Data:
    """Two classes of four images, of which cat/1.png and dog/3.png are broken."""
    random = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for number in range(4):
            pixels = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{number}.png")
    (tmp_path / "cat" / "1.png").write_bytes(b"no image")
    whole = (tmp_path / "dog" / "3.png").read_bytes()
    (tmp_path / "dog" / "3.png").write_bytes(whole[: len(whole) // 2])
    return load_data(tmp_path)


def test_broken_images_are_left_out_and_the_others_keep_their_labels(pets: Data) -> None:
    data = skip_broken(pets, 2).data
    names = [Path(data.train.name(i)).parts[-2:] for i in range(len(data.train))]
    assert names == [("cat", f"{n}.png") for n in (0, 2, 3)] + [("dog", f"{n}.png") for n in (0, 1, 2)]
    assert [data.classes[k] for k in data.train.labels] == [kind for kind, _ in names]


def test_what_is_left_out_is_named_with_what_is_wrong(pets: Data) -> None:
    first, second = skip_broken(pets, 2).left_out
    assert "cat/1.png cannot be decoded" in first
    assert "dog/3.png cannot be decoded" in second


def test_more_than_may_be_are_refused_counted_and_named(pets: Data) -> None:
    with pytest.raises(DataError, match=r"^2 images cannot be read, and 1 may be left out: .*cat/1\.png .*dog/3\.png"):
        skip_broken(pets, 1)


def test_test_images_are_looked_at_too(pets: Data) -> None:
    sound = skip_broken(pets, 2).data.train
    found = skip_broken(Data(sound, pets.train), 2)
    assert found.data.test is not None
    assert (len(found.data.train), len(found.data.test), len(found.left_out)) == (6, 6, 2)


def test_a_negative_number_is_refused(pets: Data) -> None:
    with pytest.raises(DataError, match="max_bad"):
        skip_broken(pets, -1)

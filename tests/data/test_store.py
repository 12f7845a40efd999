"""Where the pixels lie: one image after the other, several stores behind one another, decoded images kept."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modellego.data.store import ArrayStore, CacheStore, ChainStore, FileStore, as_store


def numbered(*numbers: int) -> ArrayStore:
    """Images of one pixel that holds its number."""
    return ArrayStore(np.array(numbers, dtype=np.uint8).reshape(-1, 1, 1, 1))


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    paths = [tmp_path / f"{n}.png" for n in (7, 8)]
    for path in paths:
        Image.fromarray(np.full((2, 3), int(path.stem), dtype=np.uint8)).save(path)
    return FileStore(paths)


def test_files_are_named_by_their_paths_and_decoded(files: FileStore) -> None:
    assert len(files) == 2
    assert files.name(1).endswith("8.png")
    assert files.read(1).shape == (2, 3, 1)
    assert files.read(1).max() == 8


def test_an_array_is_read_with_its_channels_last() -> None:
    store = ArrayStore(np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2))
    assert store.read(1).tolist() == np.arange(12, 24).reshape(3, 2, 2).transpose(1, 2, 0).tolist()
    assert (len(store), store.name(1)) == (2, "image 1")


def test_stores_stand_one_behind_the_other(files: FileStore) -> None:
    chain = ChainStore([numbered(0, 1, 2), numbered(), files, numbered(9)])
    assert len(chain) == 6
    assert [int(chain.read(i).flat[0]) for i in range(6)] == [0, 1, 2, 7, 8, 9]
    assert [chain.name(i) for i in (0, 2, 3, 5)] == ["image 0", "image 2", files.name(0), "image 0"]


def test_decoded_images_are_kept_until_the_budget_is_full() -> None:
    read = []

    class Counted(ArrayStore):
        def read(self, index: int) -> np.ndarray:
            read.append(index)
            return super().read(index)

    cache = CacheStore(Counted(np.zeros((3, 1, 4, 4), dtype=np.uint8)), budget=20)
    for index in (0, 1, 2, 0, 1, 2):
        cache.read(index)
    assert read.count(0) == 1
    assert read.count(2) == 2
    assert (len(cache), cache.name(2)) == (3, "image 2")


def test_images_in_memory_become_a_store_and_a_store_stays_itself() -> None:
    images = torch.rand(2, 3, 4, 5, requires_grad=True)
    store = as_store(images)
    np.testing.assert_array_equal(store.read(1), images[1].detach().permute(1, 2, 0).numpy())
    assert as_store(store) is store

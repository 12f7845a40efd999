"""Folders of class folders."""

from pathlib import Path

import pytest

from modellego.data import load_data
from modellego.errors import DataError


def test_class_folders_are_classes_in_name_order(photos: Path) -> None:
    data = load_data(str(photos))
    assert (data.classes, data.train.labels.tolist(), data.test) == (("cat", "dog"), [0, 0, 0, 1, 1, 1], None)


def test_pixels_come_in_order_between_zero_and_one(photos: Path) -> None:
    images = load_data(photos).train.images()
    assert images.shape == (6, 3, 6, 5)
    assert (images[:, 0, 0, 0] * 255).round().tolist() == [0, 10, 20, 0, 10, 20]


@pytest.mark.parametrize("test", ["test", "val", "validation"])
def test_train_and_test_folders_are_the_splits(photos: Path, tmp_path: Path, test: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    photos.rename(root / "train")
    (root / test / "dog").mkdir(parents=True)
    (root / "train" / "dog" / "0.png").rename(root / test / "dog" / "0.png")
    data = load_data(root)
    assert data.test is not None
    assert (len(data.train), data.test.classes, data.test.labels.tolist()) == (5, ("cat", "dog"), [1])


def test_a_class_named_train_is_a_class(photos: Path) -> None:
    (photos / "cat").rename(photos / "train")
    assert load_data(photos).classes == ("dog", "train")


def test_images_in_deeper_folders_count(photos: Path) -> None:
    (photos / "dog" / "puppies").mkdir()
    (photos / "dog" / "0.png").rename(photos / "dog" / "puppies" / "0.png")
    assert load_data(photos).train.counts.tolist() == [3, 3]


def test_other_files_and_hidden_folders_are_ignored(photos: Path) -> None:
    (photos / "cat" / "notes.txt").write_text("no image")
    (photos / ".cache").mkdir()
    assert load_data(photos).train.counts.tolist() == [3, 3]


def test_a_test_folder_alone_is_no_training_data(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    photos.rename(tmp_path / "root" / "test")
    with pytest.raises(DataError, match="no train part"):
        load_data(tmp_path / "root")


def test_a_class_without_images_is_named(photos: Path) -> None:
    (photos / "fox").mkdir()
    with pytest.raises(DataError, match="class 'fox' has no images"):
        load_data(photos)


def test_a_folder_of_bare_images_is_refused(photos: Path) -> None:
    with pytest.raises(DataError, match="images but no class folders"):
        load_data(photos / "cat")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no class folders"):
        load_data(tmp_path)


def test_a_corrupt_image_is_named_when_it_is_read(photos: Path) -> None:
    (photos / "dog" / "1.png").write_bytes((photos / "dog" / "1.png").read_bytes()[:40])
    images = load_data(photos).train
    with pytest.raises(DataError, match=r"dog.1\.png cannot be decoded"):
        images.images()

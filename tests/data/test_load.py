"""Finding out what a source is, and merging several."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from modellego.data import Data, ImageSet, load_data
from modellego.data.load import READERS, reader
from modellego.data.store import ArrayStore
from modellego.errors import DataError, MissingExtraError


def tiny(*classes: str) -> ImageSet:
    return ImageSet.from_tensor(torch.zeros(len(classes), 1, 2, 2), range(len(classes)), classes)


def test_digits_are_embedded_and_their_split_is_fixed() -> None:
    one, two = load_data("digits"), load_data(["digits"])
    assert one.test is not None
    assert two.test is not None
    assert np.array_equal(one.test.where, two.test.where)
    assert not set(one.train.where) & set(one.test.where)
    assert one.train.images([0]).shape == (1, 1, 8, 8)
    assert one.test.counts.min() > 25


def test_sources_are_merged_by_class_name(photos: Path) -> None:
    data = load_data([str(photos), tiny("fox", "cat")])
    assert (data.classes, data.train.counts.tolist()) == (("cat", "dog", "fox"), [4, 3, 1])


def test_test_parts_are_merged_too() -> None:
    data = load_data([Data(tiny("a"), tiny("a")), Data(tiny("b"), tiny("b"))])
    assert data.test is not None
    assert [data.test.classes[k] for k in data.test.labels] == ["a", "b"]


def test_test_data_replace_the_test_part() -> None:
    data = load_data(Data(tiny("a", "b"), tiny("a")), test_data=[tiny("b"), tiny("b")])
    assert data.test is not None
    assert (data.test.classes, data.test.labels.tolist()) == (("a", "b"), [1, 1])


def test_both_parts_share_one_list_of_classes() -> None:
    data = load_data(tiny("b", "a"), test_data=tiny("a", "z"))
    assert data.test is not None
    assert data.train.classes == data.test.classes == ("b", "a", "z")
    assert data.test.labels.tolist() == [1, 2]


def test_for_model_renumbers_both_parts() -> None:
    data = load_data(tiny("a", "b"), test_data=tiny("b")).for_model(["b"])
    assert data.test is not None
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([0], [0])


@pytest.mark.parametrize("path", ["/nowhere/photos", "./photos", "a/b/c", "train.parquet", "photos/"])
def test_a_missing_path_is_named(path: str) -> None:
    with pytest.raises(DataError, match=f"there is no file or folder {path}"):
        load_data(path)


def test_a_missing_name_without_the_hub_library_says_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"no file or folder owner/photos.*modellego\[hub\]"):
        load_data("owner/photos")


def test_a_hub_name_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"datasets is not installed.*modellego\[hub\]"):
        load_data("hub:owner/photos")


def test_a_single_image_is_no_data_set(photos: Path) -> None:
    with pytest.raises(DataError, match="is a single file"):
        load_data(photos / "cat" / "0.png")


def test_no_sources_are_refused() -> None:
    with pytest.raises(DataError, match="no data are named"):
        load_data([])


@pytest.fixture
def own_reader() -> Iterator[Callable[[object], None]]:
    """Registers a reader `own` that gives one thing whatever it is asked for, until the test is over."""

    def registered(gives: object) -> None:
        reader("own")(lambda place: gives)  # type: ignore[arg-type,return-value]

    yield registered
    READERS.remove("own")


class Given(ArrayStore):
    """One image, handed out as it is, [h, w, c]."""

    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__(np.zeros((1, 1, 1, 1), dtype=np.uint8))
        self.pixels = pixels

    def read(self, index: int) -> np.ndarray:
        return self.pixels


@pytest.mark.parametrize(
    "pixels", [np.array([[[0.0], [1.0]]], dtype=np.float32), np.array([[[0], [255]]], dtype=np.uint8)]
)
def test_a_reader_of_one_s_own_may_give_bytes_or_floats_from_zero_to_one(
    own_reader: Callable[[object], None], pixels: np.ndarray
) -> None:
    own_reader(ImageSet.of(Given(pixels), [0], ["a"]))
    assert load_data("own:anywhere").train.images([0]).flatten().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (np.array([[[1.5]]], dtype=np.float32), r"not float32 \[1, 1, 1\]"),
        (np.array([[[-0.5]]], dtype=np.float32), r"not float32 \[1, 1, 1\]"),
        (np.array([[[0.5]]], dtype=np.float64), r"not float64 \[1, 1, 1\]"),
        (np.array([[7]], dtype=np.uint8), r"not uint8 \[1, 1\]"),
    ],
)
def test_other_pixels_of_a_reader_of_one_s_own_are_refused(
    own_reader: Callable[[object], None], pixels: np.ndarray, says: str
) -> None:
    own_reader(Data(tiny("a"), ImageSet.of(Given(pixels), [0], ["a"])))
    with pytest.raises(DataError, match=says):
        load_data("own:anywhere")


def test_a_reader_of_one_s_own_gives_images_or_data(own_reader: Callable[[object], None]) -> None:
    own_reader("images")
    with pytest.raises(DataError, match="must return an ImageSet or Data, not str"):
        load_data("own:anywhere")

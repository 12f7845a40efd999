"""Finding out what a source is, and merging several."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from modellego.data import Data, ImageSet, load_data
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

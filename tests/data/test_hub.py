"""Data sets of a public hub, with the real `datasets` library where it is installed, and a stand-in where not."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modellego.data import load_data
from modellego.data.hub import from_datasets
from modellego.errors import DataError

Writer = Callable[..., Path]


class Image:
    """Stands in for the library's image feature."""

    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    """Stands in for the library's class label feature."""

    names = ("cat", "dog")


class Split:
    """Stands in for a `datasets.Dataset`."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any]) -> None:
        self.columns, self.features = columns, features

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: str | int) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        assert not self.features["image"].decode  # what the reader asked for
        return {name: column[key] for name, column in self.columns.items()}

    def cast_column(self, name: str, feature: Any) -> "Split":
        return Split(self.columns, {**self.features, name: feature})

    def select_columns(self, names: list[str]) -> "Split":
        return Split({n: self.columns[n] for n in names}, {n: self.features[n] for n in names})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, photos: Path) -> dict[str, Any]:
    """A hub whose data sets are what the test puts in; calls are noted under `called`."""
    sets: dict[str, Any] = {"called": []}

    def load_dataset(path: str, name: str | None) -> Any:
        sets["called"].append((path, name))
        if path not in sets:
            raise ConnectionError("no such data set\nmore about it")
        return sets[path]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset, Image=Image))
    return sets


def split(photos: Path, labels: list[Any], label: str = "label", feature: object = None) -> Split:
    cells = [{"bytes": (photos / "cat" / f"{i}.png").read_bytes(), "path": None} for i in range(len(labels))]
    return Split({"image": cells, label: labels}, {"image": Image(), label: feature or ClassLabel()})


def test_train_and_test_splits_by_name(hub: dict[str, Any], photos: Path) -> None:
    hub["owner/pets"] = {"train": split(photos, [1, 0, 1]), "test": split(photos, [0])}
    data = load_data("owner/pets")
    assert data.test is not None
    assert (data.classes, data.train.labels.tolist(), len(data.test)) == (("cat", "dog"), [1, 0, 1], 1)
    assert (data.train.images([2]) * 255).unique().item() == pytest.approx(20)


def test_a_configuration_follows_a_colon(hub: dict[str, Any], photos: Path) -> None:
    hub["owner/pets"] = {"train": split(photos, [1])}
    load_data("hub:owner/pets:small")
    assert hub["called"] == [("owner/pets", "small")]


def test_validation_serves_where_the_test_split_has_no_labels(hub: dict[str, Any], photos: Path) -> None:
    parts = {"train": [0], "test": [-1, -1], "validation": [1, 1, 0]}
    hub["owner/pets"] = {name: split(photos, labels) for name, labels in parts.items()}
    test = load_data("owner/pets").test
    assert test is not None
    assert test.labels.tolist() == [1, 1, 0]


def test_labels_in_words(hub: dict[str, Any], photos: Path) -> None:
    hub["owner/pets"] = {"train": split(photos, ["b", "a"], feature=SimpleNamespace())}
    data = load_data("owner/pets")
    assert (data.classes, data.train.labels.tolist()) == (("a", "b"), [1, 0])


def test_a_set_without_labels_is_refused(hub: dict[str, Any], photos: Path) -> None:
    hub["owner/pets"] = {"train": split(photos, [0], label="age", feature=SimpleNamespace())}
    with pytest.raises(DataError, match="no image and label columns: it has image, age"):
        load_data("owner/pets")


def test_what_cannot_be_fetched_is_said_in_one_line(hub: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"no file or folder owner/zoo, and .* from the hub: no such data set$"):
        load_data("owner/zoo")


def test_the_real_library(write_parquet: Writer, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    file = write_parquet("x.parquet", [1, 0, 1])
    whole = datasets.load_dataset("parquet", data_files={"train": str(file)}, cache_dir=str(tmp_path / "c"))
    train = from_datasets(whole.cast(features), "x").train
    assert train is not None
    assert (train.classes, train.labels.tolist()) == (("a", "b"), [1, 0, 1])
    assert (train.images()[:, 0, 0, 0] * 255).round().tolist() == [0, 1, 2]

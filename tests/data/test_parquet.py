"""Parquet shards in the layout of public hubs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modellego.data import load_data, parquet
from modellego.data.images import ImageSet
from modellego.errors import DataError

Writer = Callable[..., Path]
HUGGINGFACE = {"huggingface": json.dumps({"info": {"features": {"label": {"names": ["cat", "dog"]}}}})}


def values(images: ImageSet) -> list[float]:
    return (images.images()[:, 0, 0, 0] * 255).round().tolist()


def test_rows_and_class_names_of_a_file(write_parquet: Writer) -> None:
    images = load_data(write_parquet("a.parquet", [1, 0, 1], metadata=HUGGINGFACE)).train
    assert (images.classes, images.labels.tolist(), values(images)) == (("cat", "dog"), [1, 0, 1], [0, 1, 2])


def test_class_names_one_a_line(write_parquet: Writer) -> None:
    file = write_parquet("a.parquet", [1, 0], metadata={"class_names": "cat\ndog", "huggingface": "not json"})
    assert load_data(file).classes == ("cat", "dog")


def test_without_names_the_numbers_are_the_names(write_parquet: Writer) -> None:
    assert load_data(write_parquet("a.parquet", [2, 0])).classes == ("0", "1", "2")


def test_labels_in_words(write_parquet: Writer) -> None:
    images = load_data(write_parquet("a.parquet", ["dog", "cat", "dog"])).train
    assert (images.classes, images.labels.tolist()) == (("cat", "dog"), [1, 0, 1])


@pytest.mark.parametrize(("image", "label"), [("img", "fine_label"), ("img", "label"), ("face", "labels")])
def test_other_column_names(write_parquet: Writer, image: str, label: str) -> None:
    images = load_data(write_parquet("a.parquet", [0, 1], image=image, label=label)).train
    assert values(images) == [0, 1]


def test_bare_bytes_are_images(write_parquet: Writer, photos: Path) -> None:
    data = (photos / "cat" / "2.png").read_bytes()
    assert values(load_data(write_parquet("a.parquet", [0], images=[data])).train) == [20]


def test_an_image_may_lie_beside_the_shard(write_parquet: Writer, photos: Path) -> None:
    cells = [{"bytes": None, "path": "photos/cat/1.png"}]
    assert values(load_data(write_parquet("a.parquet", [0], images=cells)).train) == [10]


@pytest.mark.parametrize(
    "names",
    [
        ("d/train-00000-of-00002.parquet", "d/train-00001-of-00002.parquet", "d/test-00000-of-00001.parquet"),
        ("d/data/train-0.parquet", "d/data/train-1.parquet", "d/data/validation-0.parquet"),
        ("d/train/0000.parquet", "d/train/0001.parquet", "d/test/0000.parquet"),
    ],
)
def test_shards_fall_into_train_and_test(write_parquet: Writer, tmp_path: Path, names: tuple[str, ...]) -> None:
    for name, labels in zip(names, ([0, 1, 0], [1], [1, 1]), strict=True):
        write_parquet(name, labels, metadata=HUGGINGFACE)
    data = load_data(tmp_path / "d")
    assert data.test is not None
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([0, 1, 0, 1], [1, 1])
    assert values(data.train) == [0, 1, 2, 0]


def test_a_test_split_without_labels_gives_way_to_the_validation_split(write_parquet: Writer, tmp_path: Path) -> None:
    for name, labels in (("train", [0]), ("test", [-1, -1]), ("validation", [0, 0, 0])):
        write_parquet(f"d/{name}-0.parquet", labels)
    test = load_data(tmp_path / "d").test
    assert test is not None
    assert len(test) == 3


def test_row_groups_beyond_the_budget_are_let_go(write_parquet: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
    store = parquet.ParquetStore([write_parquet("a.parquet", [0] * 7)])
    assert [int(store.read(i)[0, 0, 0]) for i in (6, 0, 3, 1)] == [6, 0, 3, 1]
    assert len(store.held) == 1


@pytest.mark.parametrize(("label", "says"), [(5, "row 1 has label 5"), (-1, "row 1 has label -1")])
def test_a_label_out_of_range_is_named(write_parquet: Writer, label: int, says: str) -> None:
    with pytest.raises(DataError, match=f"{says}.*2 classes"):
        load_data(write_parquet("a.parquet", [0, label, 1], metadata=HUGGINGFACE))


def test_a_missing_label_is_refused(write_parquet: Writer) -> None:
    with pytest.raises(DataError, match="1 images have no label"):
        load_data(write_parquet("a.parquet", [0, None, 1]))


def test_labels_that_are_no_numbers_are_refused(write_parquet: Writer) -> None:
    with pytest.raises(DataError, match="holds double"):
        load_data(write_parquet("a.parquet", [0.5, 1.0]))


def test_a_missing_column_is_named_with_those_there(write_parquet: Writer) -> None:
    with pytest.raises(DataError, match="no label column: it has image, colour"):
        load_data(write_parquet("a.parquet", [0, 1], label="colour"))


def test_a_corrupt_image_is_named_by_its_row(write_parquet: Writer) -> None:
    images = load_data(write_parquet("a.parquet", [0, 0], images=[{"bytes": b"x"}, {"bytes": b"y"}])).train
    with pytest.raises(DataError, match=r"a\.parquet row 1 cannot be decoded"):
        images.images([1])


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"a\.parquet is not a complete parquet file"):
        load_data(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion-mnist"])
def test_real_sets(shared: Path, name: str) -> None:
    data = load_data(shared / "data" / name)
    assert data.test is not None
    assert (len(data.test), len(data.classes)) == (10_000, 100 if name == "cifar100" else 10)
    assert data.test.images([9_999, 0]).shape[0] == 2

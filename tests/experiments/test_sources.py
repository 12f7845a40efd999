"""Data sets and models by folder: found in either layout, and what is missing is named with its remedy."""

from pathlib import Path

import pytest

from experiments.study.sources import Sources
from modellego.errors import DataError


def test_missing_data_set_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no cifar10 in .*put it at .*cifar10.*uoft-cs/cifar10.*--data"):
        Sources(tmp_path).data("cifar10")


def test_missing_model_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cifar10_resnet20\.safetensors, or train one .*--network"):
        Sources(tmp_path).model("cifar10_resnet20")


def test_data_is_found_in_a_folder_of_its_own(made_up: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(made_up)
    assert Sources(tmp_path).place("mnist") == tmp_path / "data" / "mnist"


def test_limit_takes_images_of_every_class(made_up: Path) -> None:
    data = Sources(made_up, 20).data("cifar10")
    assert data.train.counts.tolist() == [2] * 10


def test_published_model_scores_as_its_page_says(shared: Path) -> None:
    sources = Sources(shared, 100)
    from modellego.evaluation import logits_of, score

    test = sources.data("cifar10").test
    assert test is not None
    assert score(logits_of(sources.published("cifar10_resnet20"), test), test.labels).accuracy > 0.85

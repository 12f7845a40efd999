"""The names by which the two parts of a data source are told."""

from pathlib import Path

import pytest

from modellego.data import load_data


def laid_out(photos: Path, root: Path, train: str, *tests: str) -> Path:
    """Lay out class folders below a train folder, and test folders of one image each."""
    root.mkdir()
    photos.rename(root / train)
    for i, test in enumerate(tests):
        (root / test / "dog").mkdir(parents=True)
        (root / train / "dog" / f"{i}.png").rename(root / test / "dog" / f"{i}.png")
    return root


@pytest.mark.parametrize("train", ["train", "training"])
@pytest.mark.parametrize("test", ["test", "testing", "validation", "valid", "val", "dev"])
def test_parts_are_told_by_their_names(photos: Path, tmp_path: Path, train: str, test: str) -> None:
    data = load_data(laid_out(photos, tmp_path / "root", train, test))
    assert data.test is not None
    assert (data.classes, len(data.train), len(data.test)) == (("cat", "dog"), 5, 1)


@pytest.mark.parametrize("other", ["testing", "validation", "valid", "val", "dev"])
def test_a_test_part_goes_before_one_for_validation(photos: Path, tmp_path: Path, other: str) -> None:
    root = laid_out(photos, tmp_path / "root", "train", "test", other)
    (root / other / "dog" / "1.png").unlink()  # unread: it would be an error
    assert len(load_data(root).test or ()) == 1

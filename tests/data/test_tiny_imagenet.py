"""Tiny-ImageNet's own layout, made up small: class names by number, validation labels from the list, and its faults."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modellego.data import load_data
from modellego.errors import DataError

TONES = {"n02": 20, "n01": 120, "n03": 220}


def draw(path: Path, tone: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((64, 64, 3), tone, dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, tone in TONES.items():
        for k in range(2):
            draw(tmp_path / "train" / number / "images" / f"{number}_{k}.JPEG", tone)
        (tmp_path / "train" / number / f"{number}_boxes.txt").write_text("")
    lines = []
    for k, (number, tone) in enumerate(TONES.items()):
        draw(tmp_path / "val" / "images" / f"val_{k}.JPEG", tone)
        lines.append(f"val_{k}.JPEG\t{number}\t0\t0\t62\t62")
    draw(tmp_path / "test" / "images" / "test_0.JPEG", 0)
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "wnids.txt").write_text("\n".join(TONES) + "\n")
    (tmp_path / "words.txt").write_text("n01\tgoldfish, Carassius\nn02\tcrane\nn03\tcrane\nn04\telsewhere\n")
    return tmp_path


def test_classes_are_named_in_the_order_of_their_numbers(folder: Path) -> None:
    assert load_data(str(folder)).classes == ("goldfish", "crane n02", "crane n03")


def test_each_image_bears_its_own_label(folder: Path) -> None:
    data = load_data(str(folder))
    assert data.test is not None
    wanted = [TONES[number] for number in sorted(TONES)]
    for part, count in ((data.train, 6), (data.test, 3)):
        assert len(part) == count
        assert [wanted[k] for k in part.labels] == [int(part.read(i)[0, 0, 0]) for i in range(len(part))]


def test_without_words_the_numbers_are_the_names(folder: Path) -> None:
    (folder / "words.txt").unlink()
    assert load_data(str(folder)).classes == ("n01", "n02", "n03")


@pytest.mark.parametrize(
    ("line", "said"),
    [("val_9.JPEG\tn01\t0", "names val_9.JPEG, which is not in"), ("val_0.JPEG\tn09", "the class 'n09', which is not")],
)
def test_a_wrong_line_of_the_list_is_named(folder: Path, line: str, said: str) -> None:
    (folder / "val" / "val_annotations.txt").write_text(line + "\n")
    with pytest.raises(DataError, match=said):
        load_data(str(folder))


def test_a_class_without_images_is_named(folder: Path) -> None:
    for image in (folder / "train" / "n02" / "images").iterdir():
        image.unlink()
    with pytest.raises(DataError, match=r"class n02 \(crane n02\) has no images"):
        load_data(str(folder))

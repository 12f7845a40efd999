"""Reads Tiny-ImageNet as it is published: classes by WordNet number, the validation images labelled by a list."""

from pathlib import Path

from modellego.data.decode import images_below
from modellego.data.images import ImageSet
from modellego.data.splits import Splits
from modellego.data.store import CacheStore, FileStore
from modellego.errors import DataError

LABELS = "val_annotations.txt"


def is_tiny_imagenet(folder: Path) -> bool:
    """Say whether a folder has that layout: `wnids.txt`, and the list of the validation images' labels."""
    return (folder / "wnids.txt").is_file() and (folder / "val" / LABELS).is_file()


def read_tiny_imagenet(folder: Path) -> Splits:
    """Read `train/nXXXX/images/*` to choose from, and `val/images/*` to score on; `test/` has no labels and is left.

    The classes stand in the order of their WordNet numbers, as class folders do elsewhere, and bear the first word of
    `words.txt`, with the number behind it where two share a word. Raises `DataError` for a class without images, and
    for a label or an image of the list that is not there.
    """
    numbers = sorted((folder / "wnids.txt").read_text(encoding="utf-8").split())
    place = {number: label for label, number in enumerate(numbers)}
    names = _names(folder / "words.txt", numbers)
    paths: list[Path] = []
    labels: list[int] = []
    for label, number in enumerate(numbers):
        inside = folder / "train" / number / "images"
        below = images_below(inside) if inside.is_dir() else []
        if not below:
            raise DataError(f"class {number} ({names[label]}) has no images in {inside}: unpack the data set again")
        paths += below
        labels += [label] * len(below)
    train = ImageSet.of(CacheStore(FileStore(paths)), labels, names)
    shown, known = [], []
    for line in (folder / "val" / LABELS).read_text(encoding="utf-8").splitlines():
        file, number = [*line.split("\t"), ""][:2]
        image = folder / "val" / "images" / file
        if number not in place:
            raise DataError(f"{folder / 'val' / LABELS} gives {file} the class {number!r}, which is not in wnids.txt")
        if not image.is_file():
            raise DataError(f"{folder / 'val' / LABELS} names {file}, which is not in {image.parent}")
        shown.append(image)
        known.append(place[number])
    return Splits(train, ImageSet.of(CacheStore(FileStore(shown)), known, names))


def _names(words: Path, numbers: list[str]) -> list[str]:
    lines = words.read_text(encoding="utf-8").splitlines() if words.is_file() else []
    said = {number: name.split(",")[0].strip() for number, _, name in (line.partition("\t") for line in lines)}
    found = [said.get(number) or number for number in numbers]
    return [f"{name} {number}" if found.count(name) > 1 else name for name, number in zip(found, numbers, strict=True)]

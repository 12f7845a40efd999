"""Reads a folder of class folders, with or without train and test folders around them."""

from pathlib import Path

from modellego.data.decode import SUFFIXES, images_below
from modellego.data.images import ImageSet
from modellego.data.splits import TEST, TRAIN, Splits
from modellego.data.store import CacheStore, FileStore
from modellego.errors import DataError


def read_folder(folder: Path) -> Splits:
    """Read `folder/CLASS/**/image`, or the same below `folder/train` and `folder/test`.

    The classes are in name order. Raises `DataError` where there are no class folders and for a class
    folder without images.
    """
    train = next((folder / n for n in TRAIN if _holds_classes(folder / n)), None)
    test = next((folder / n for n in TEST if _holds_classes(folder / n)), None)
    if train is None and test is None:
        return Splits(_class_folders(folder), None)
    return Splits(_class_folders(train) if train else None, _class_folders(test) if test else None)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _has_images(folder: Path) -> bool:
    return any(p.suffix.lower() in SUFFIXES for p in folder.iterdir() if not p.name.startswith("."))


def _holds_classes(folder: Path) -> bool:
    """Whether a folder is a split: it holds folders and no images of its own (a class named train does)."""
    return folder.is_dir() and bool(_subfolders(folder)) and not _has_images(folder)


def _class_folders(folder: Path) -> ImageSet:
    subfolders = _subfolders(folder)
    if not subfolders:
        found = "images but no class folders" if _has_images(folder) else "no class folders"
        raise DataError(f"{folder} has {found}: put the images of each class into a folder named after it")
    paths: list[Path] = []
    labels: list[int] = []
    empty = []
    owner: dict[Path, Path] = {}
    for label, subfolder in enumerate(subfolders):
        below = images_below(subfolder)
        paths += below
        labels += [label] * len(below)
        for inside in {path.parent for path in below}:
            first = owner.setdefault(inside.resolve(), subfolder)
            if first != subfolder:
                raise DataError(f"{inside} leads into another class, {first.name!r}: remove that link")
        if not below:
            empty.append(subfolder)
    if len(empty) == len(subfolders):
        raise DataError(f"{folder} holds no images in class folders: put each class's images into its own folder")
    if empty:
        raise DataError(f"class {empty[0].name!r} has no images: fill or remove the folder {empty[0]}")
    return ImageSet.of(CacheStore(FileStore(paths)), labels, [s.name for s in subfolders])

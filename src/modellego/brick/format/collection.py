"""A folder of bricks, one per class, that appears whole or not at all: made under another name, then renamed."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from modellego.brick.format.disk import FILES, is_brick
from modellego.brick.format.folder import exchange, foreign_files, new_place
from modellego.errors import FormatError


def check_folder(path: str | Path, force: bool = False) -> Path:
    """Return the folder that bricks may be written to, or refuse it before any work is done.

    Raises:
        FormatError: its parent is missing; or it exists, and `force` is not set or it holds other things than bricks.
    """
    target = new_place(path, force)
    if not os.path.lexists(target):
        return target
    other = None if target.is_symlink() or not target.is_dir() else _other(target)
    if other is None:
        raise FormatError(f"{path} exists and is no folder of bricks: it is not replaced; choose another name")
    if other:
        raise FormatError(f"{path} holds {other!r} beside bricks: it is not replaced; move that away first")
    return target


def place_folder(source: Path, target: Path, force: bool) -> None:
    """Give a finished folder of bricks its name; with `force`, in place of another one, which is removed then.

    Raises:
        FormatError: it cannot be done, or `target` appeared meanwhile.
    """
    check_folder(target, force)
    try:
        if not target.exists():
            source.rename(target)
        elif exchange(source, target):
            shutil.rmtree(source)
        else:
            aside = source.with_name(f"{source.name}.old")
            target.rename(aside)
            source.rename(target)
            shutil.rmtree(aside)
    except OSError as error:
        raise FormatError(f"{target} cannot be written: {error.strerror or error}") from error


def brick_names(classes: Iterable[str]) -> list[str]:
    """Return a directory's name for each class: letters, digits, dots, hyphens and underscores, each name once.

    >>> brick_names(["tench, Tinca tinca", "a/b", "A b", ".."])
    ['tench-Tinca-tinca.brick', 'a-b.brick', 'A-b-2.brick', 'class.brick']
    """
    found: list[str] = []
    taken: set[str] = set()
    for name in classes:
        plain = re.sub(r"[^\w.]+", "-", name)[:80].strip("-.") or "class"
        number, unique = 1, plain
        while unique.casefold() in taken:
            number += 1
            unique = f"{plain}-{number}"
        taken.add(unique.casefold())
        found.append(f"{unique}.brick")
    return found


def _other(folder: Path) -> str:
    """Return the name of something in a folder that is not just a brick; empty where there is nothing else."""
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink() or not is_brick(entry) or foreign_files(entry, FILES):
            return entry.name
    return ""

"""Fingerprints: two runs of a step with one fingerprint would make the same thing.

A fingerprint is the SHA-256 of what goes into a step: what the recipe says, the version of modellego, the fingerprints
of the steps before, and the files named. Files of code and bricks are read; of weights and images, which are large,
name, size and time of change are taken.
"""

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modellego import __version__
from modellego.brick import is_brick

_WHOLE = 1_000_000  # bytes up to which a file is read


def fingerprint(*parts: Any) -> str:
    """Return the fingerprint of plain values.

    >>> fingerprint("a", {"b": 1}) == fingerprint("a", {"b": 1}), len(fingerprint("a"))
    (True, 64)
    """
    text = json.dumps([__version__, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def of_file(path: Path) -> list[Any]:
    """Return what tells a file from another."""
    status = path.stat()
    if status.st_size <= _WHOLE:
        return [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]
    return [path.name, status.st_size, status.st_mtime_ns]


def of_name(text: str) -> list[Any]:
    """Return what stands behind a name: a file, a folder with all its files, or the name and its library's version."""
    path = Path(text.rpartition(".py:")[0] + ".py" if ".py:" in text else text).expanduser()
    if path.is_file():
        return [text, *of_file(path)]
    if path.is_dir():
        if is_brick(path):
            return [text, *of_files(path / name for name in ("brick.json", "model.safetensors"))]
        return [text, *((str(f.relative_to(path)), *_stamp(f)) for f in sorted(path.rglob("*")) if f.is_file())]
    library = {"digits": "scikit-learn"}.get(text, text.partition(":")[0])
    try:
        return [text, version(library)]
    except (PackageNotFoundError, ValueError):
        return [text]


def of_files(paths: Iterable[Path]) -> list[str]:
    """Return the digest of each file, read whole."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns

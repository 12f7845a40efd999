"""Write what a command makes into one file: never over an existing one without --force, never half."""

import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from modellego.cli import options as o
from modellego.errors import LegoError, MissingExtraError


def check_file(path: Path, force: bool, endings: tuple[str, ...]) -> None:
    """Refuse an output file early: an existing one, an unknown ending, a folder that is not there.

    Raises:
        LegoError: with what to do instead.
    """
    if path.suffix.lower() not in endings:
        raise LegoError(f"{path} must end in {' or '.join(endings)}")
    if path.is_dir():
        raise LegoError(f"{path} is a directory: name a file")
    if path.exists() and not force:
        raise LegoError(f"{path} exists: choose another name, or replace it with --force")
    if not path.parent.is_dir():
        raise LegoError(f"the directory {path.parent} does not exist: make it first")


def check_picture(path: Path | None, force: bool) -> None:
    """Refuse a picture early, as `check_file` does, and where matplotlib is missing.

    Raises:
        LegoError: with what to do instead.
        MissingExtraError: the extra `plot` is not installed.
    """
    if path is None:
        return
    check_file(path, force, (".png", ".svg", ".pdf"))
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "plot")


def checkpoint_path(output: o.Output, resume: bool, named: Path | None = None) -> Path:
    """Return the checkpoint of a run; one that is there is not overwritten unless asked for."""
    file = named or output.path.with_name(f"{output.path.name}.checkpoint")
    if file.exists() and not resume and not output.force:
        raise LegoError(
            f"{file} is the checkpoint of an interrupted run: go on with --resume, or start over with --force"
        )
    if not file.parent.is_dir():
        raise LegoError(f"the directory {file.parent} does not exist: make it first")
    return file


def write_file(path: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write a temporary file beside `path`, then move it there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_file(Path(folder) / "a.txt", lambda p: p.write_text("done"))
    ...     (Path(folder) / "a.txt").read_text()
    'done'
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    part = Path(name)
    try:
        fill(part)
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def bytes_on_disk(path: Path) -> int | None:
    """Return how many bytes the files of a brick's directory hold, or None where there is no directory."""
    return sum(f.stat().st_size for f in path.iterdir() if f.is_file()) if path.is_dir() else None

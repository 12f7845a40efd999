"""A directory written all at once or not at all: made beside its place, synced, and renamed into it."""

import contextlib
import ctypes
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from modellego.errors import FormatError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_STALE_SECONDS = 3600.0
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100


def new_place(path: str | Path, force: bool) -> Path:
    """Return where a new directory may be written; what stands there already is for the caller to look at.

    Raises:
        FormatError: its parent is missing or takes nothing; or it exists, and `force` is not set.
    """
    target = Path(os.path.abspath(path))
    if not target.name:
        raise FormatError(f"{path} is not a place for one: give the name of a new directory")
    if not target.parent.is_dir():
        raise FormatError(f"the directory {target.parent} does not exist: make it first")
    if not os.access(target.parent, os.W_OK):
        raise FormatError(f"nothing can be written into the directory {target.parent}")
    if os.path.lexists(target) and not force:
        raise FormatError(f"{path} exists: choose another name, or replace it by force")
    return target


def write_folder(target: Path, files: Mapping[str, bytes], replace: bool) -> None:
    """Write `files` into a new directory `target`; with `replace`, in place of one with such files only.

    Whatever happens, `target` is either as it was or complete; on an exception nothing else is left behind.
    What a killed process left behind is removed by the next write to the same `target`: a writer holds a lock on
    what it makes as long as it lives.

    Raises:
        FormatError: the directory cannot be written, or `target` appeared meanwhile.
    """
    _sweep(target, files)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        temporary.mkdir()
        with _locked(temporary):
            for name, content in files.items():
                with open(temporary / name, "xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            _sync(temporary)
            if replace and target.exists():
                _swap(temporary, target, files)
            else:
                _put(temporary, target)
        _sync(target.parent)
    except OSError as error:
        raise FormatError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        remove_folder(temporary, files)


def remove_folder(folder: Path, names: Collection[str]) -> None:
    """Remove a directory that holds plain files of these names only; leave every other one as it is."""
    with contextlib.suppress(FileNotFoundError):  # another writer may be removing it too
        if folder.is_symlink() or not folder.is_dir() or foreign_files(folder, names):
            return
        for name in names:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def foreign_files(folder: Path, names: Collection[str]) -> list[str]:
    """Return what a directory holds beside plain files of these names, sorted."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.name not in names or not e.is_file(follow_symlinks=False))


def _put(source: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise FormatError(f"{target} exists now: something else wrote it meanwhile")
    source.rename(target)


def _swap(source: Path, target: Path, names: Collection[str]) -> None:
    """Exchange two directories, so that the old one can be removed under the other's name."""
    if exchange(source, target):
        return
    aside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    with _locked(target):
        target.rename(aside)
        try:
            source.rename(target)
        except BaseException:
            aside.rename(target)
            raise
    remove_folder(aside, names)


def exchange(a: Path, b: Path) -> bool:
    """Exchange two names in one step where the system can (Linux); False where it cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return int(rename(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE)) == 0


def _sync(folder: Path) -> None:
    """Make a directory's entries survive a power cut; not every file system lets one."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on a directory, under whatever name, that ends with this process; nothing where there are none."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_dead(folder: Path, age: float) -> bool:
    """Tell whether nobody is at work in a directory: it is not empty and not locked, or old."""
    if age > _STALE_SECONDS:
        return True
    if fcntl is None or not any(folder.iterdir()):
        return False
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _sweep(target: Path, names: Collection[str]) -> None:
    """Remove what killed writers of the same target left."""
    pattern = re.compile(re.escape(f".{target.name}.") + r"[0-9a-f]{12}\.part")
    with contextlib.suppress(OSError):
        for entry in target.parent.iterdir():
            if pattern.fullmatch(entry.name):
                status = entry.lstat()
                if stat.S_ISDIR(status.st_mode) and _is_dead(entry, time.time() - status.st_mtime):
                    remove_folder(entry, names)

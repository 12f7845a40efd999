"""Results of long passes, kept in the user's cache folder: small arrays by a key that says all that they depend on."""

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = "MODELLEGO_CACHE"  # names another folder
UNUSED = 30 * 24 * 3600.0  # seconds after which a result that nobody asked for is removed


def cache_folder() -> Path:
    """Return where results are kept: what MODELLEGO_CACHE names, else `modellego` in the user's cache folder."""
    named = os.environ.get(FOLDER)
    if named:
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "modellego"
    usual = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(usual) if usual else Path.home() / ".cache") / "modellego"


def kept(key: str, count: int) -> NDArray[np.float64] | None:
    """Return the `count` numbers kept under a key, hex digits: float64 `[count]`; None where there are none, or broken.

    >>> kept("00", 3) is None
    True
    """
    try:
        file = cache_folder() / f"{key}.npy"
        found: NDArray[np.float64] = np.load(file, allow_pickle=False)
        os.utime(file)
    except (OSError, ValueError, EOFError, RuntimeError):  # the last where there is no home
        return None
    sound = found.dtype == np.float64 and found.shape == (count,) and bool(np.isfinite(found).all())
    return found if sound else None


def keep(key: str, values: NDArray[np.float64]) -> None:
    """Keep numbers under a key, whole or not at all; where nothing can be written nothing is kept."""
    with contextlib.suppress(OSError, RuntimeError):
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".part", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                np.save(file, values)
            os.replace(name, folder / f"{key}.npy")
        finally:
            Path(name).unlink(missing_ok=True)


def forget_unused() -> None:
    """Remove what nobody has asked for in a month."""
    with contextlib.suppress(OSError, RuntimeError):
        for file in cache_folder().iterdir():
            if file.suffix in (".npy", ".part") and time.time() - file.stat().st_mtime > UNUSED:
                file.unlink(missing_ok=True)

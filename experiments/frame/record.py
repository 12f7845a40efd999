"""Results as one JSON file, written after every row, so that an interrupted run goes on where it was."""

import fcntl
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.frame.commits import made_by

RESULTS = Path(__file__).resolve().parents[1] / "results"
PACKAGES = ("modellego", "torch", "numpy", "scipy", "scikit-learn", "numba", "torchvision", "timm", "torch-geometric")


class Record:
    """Rows by key in one JSON file; those of a run with other settings are dropped. Several processes may share it.

    `document` holds command, settings, versions, threads, wall seconds and rows. Each row carries its seconds, the
    commit that made it, and whether the code had been changed since. `say` is told of each new row.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.json"
    ...     _ = Record(file, {"seed": 0}, say=lambda text: None).row("one", lambda: {"accuracy": 0.5})
    ...     Record(file, {"seed": 0}).row("one", lambda: {"accuracy": 0.9})["accuracy"]
    0.5
    """

    def __init__(
        self,
        path: Path,
        settings: dict[str, Any],
        command: str | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self.say = say or _print
        self._new: dict[str, Any] = {}
        self.made_by = made_by()  # the code that is loaded now, whatever is committed before the next row
        found = read(path)
        settings = json.loads(json.dumps(settings))
        same = found.get("settings") == settings
        self.document: dict[str, Any] = {
            "command": command or " ".join(["python", *sys.argv]),
            "settings": settings,
            "versions": versions(),
            "threads": os.environ.get("OMP_NUM_THREADS", "all"),
            "wall_seconds": found.get("wall_seconds", 0.0) if same else 0.0,
            "rows": found.get("rows", {}) if same else {},
        }

    def row(self, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a row, worked out now if it is not there yet; its wall time is kept with it."""
        rows: dict[str, Any] = self.document["rows"]
        if key not in rows:
            start = time.perf_counter()
            found = work()
            self.put(key, found, time.perf_counter() - start)
        done: dict[str, Any] = rows[key]
        return done

    def put(self, key: str, found: dict[str, Any], seconds: float) -> None:
        """Write a row, in place of one that is there."""
        row = {**found, "seconds": round(seconds, 2), **self.made_by}
        self._new[key] = row
        self.write(seconds)
        self.say(f"{key}: {json.dumps(row)[:300]}")

    def write(self, seconds: float = 0.0) -> None:
        """Write the file, whole or not at all; rows that another process has written since are taken in."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = read(self.path)
            if found.get("settings") == self.document["settings"]:
                self.document["rows"].update(found["rows"])
                self.document["wall_seconds"] = found.get("wall_seconds", 0.0)
            self.document["rows"].update(self._new)
            self.document["wall_seconds"] = round(self.document["wall_seconds"] + seconds, 2)
            partial = self.path.with_suffix(".partial")
            partial.write_text(_lines(self.document))
            partial.replace(self.path)


def read(path: Path) -> dict[str, Any]:
    """Return a record's document, empty where there is no file."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def versions() -> dict[str, str]:
    """Return the versions of Python and of what the figures depend on, those that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _lines(document: dict[str, Any]) -> str:
    """Return a document as JSON, one line per value, but one line per list of numbers (rows of heat maps).

    >>> print(_lines({"a": [[0.5, 1], [2, 3]]}), end="")
    {
     "a": [
      [0.5, 1],
      [2, 3]
     ]
    }
    """
    text = json.dumps(document, indent=1) + "\n"
    return re.sub(r"\[[-+.\deE,\s]+\]", lambda found: "[" + " ".join(found[0][1:-1].split()) + "]", text)


def _print(text: str) -> None:
    print(text, flush=True)

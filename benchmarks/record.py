"""A benchmark's results as one JSON file, written after every row, so that an interrupted run goes on where it was."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "numba", "torchvision", "timm")


class Record:
    """Rows by key in `benchmarks/results/NAME.json`; those of a run with other settings are dropped."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        found = json.loads(path.read_text()) if path.is_file() else {}
        same = found.get("settings") == settings
        self.document: dict[str, Any] = {
            "command": " ".join(["python", *sys.argv]),
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
            seconds = time.perf_counter() - start
            rows[key] = {**found, "seconds": round(seconds, 2)}
            self.document["wall_seconds"] = round(self.document["wall_seconds"] + seconds, 2)
            self.write()
            print(f"{key}: {json.dumps(rows[key])[:300]}", flush=True)
        done: dict[str, Any] = rows[key]
        return done

    def write(self) -> None:
        """Write the file, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.document, indent=1) + "\n")
        partial.replace(self.path)


def versions() -> dict[str, str]:
    """Return the versions of Python and of what the benchmarks measure with."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except ModuleNotFoundError:
            continue
    return found

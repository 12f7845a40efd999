"""Where benchmarks keep their results: one JSON file each, in the package's own way (`modellego.paper.record`)."""

from pathlib import Path

from modellego.paper.record import Record, versions

RESULTS = Path(__file__).resolve().parent / "results"

__all__ = ["RESULTS", "Record", "versions"]

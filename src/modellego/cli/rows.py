"""Predictions as rows of plain values, written as CSV or JSON lines while they come in."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypedDict

if TYPE_CHECKING:
    from modellego.evaluation import Prediction

ENDINGS = {".csv": "csv", ".jsonl": "jsonl"}
Ranked = TypedDict("Ranked", {"class": str, "probability": float})
Row = TypedDict(
    "Row", {"file": str, "class": str | None, "probability": float | None, "rejected": bool, "top": list[Ranked]}
)


def row_of(file: Path, said: "Prediction") -> Row:
    """Return what was said of one file; one that was turned away has neither class nor probability.

    >>> from modellego.evaluation import Prediction
    >>> row_of(Path("a.png"), Prediction(("cat",), (0.75,), rejected=True))["probability"] is None
    True
    """
    top: list[Ranked] = [{"class": c, "probability": v} for c, v in zip(said.classes, said.probabilities, strict=True)]
    return {
        "file": str(file),
        "class": said.label,
        "probability": said.probability,
        "rejected": said.rejected,
        "top": top,
    }


def write_csv(file: TextIO, rows: Iterator[Row], top: int) -> None:
    """Write a line per image: file, class, probability, rejected, then the likeliest classes with theirs.

    >>> import sys
    >>> said = {"file": "a.png", "class": None, "probability": None, "rejected": True}
    >>> write_csv(sys.stdout, iter([{**said, "top": [{"class": "cat", "probability": 0.75}]}]), 1)
    file,class,probability,rejected,class_1,probability_1
    a.png,,,True,cat,0.75
    """
    writer = csv.writer(file, lineterminator="\n")
    numbered = [f"{what}_{place}" for place in range(1, top + 1) for what in ("class", "probability")]
    writer.writerow(["file", "class", "probability", "rejected", *numbered])
    for row in rows:
        ranked = [value for one in row["top"] for value in (one["class"], one["probability"])]
        ranked += [""] * (len(numbered) - len(ranked))
        writer.writerow([row["file"], row["class"] or "", _plain(row["probability"]), row["rejected"], *ranked])


def write_lines(file: TextIO, rows: Iterator[Row], top: int) -> None:
    """Write one JSON object a line, an image each, with its `top` likeliest classes."""
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: float | None) -> float | str:
    return "" if value is None else value

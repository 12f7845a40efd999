"""Pictures of the reproductions (extra `plot`): one way to begin a figure, and one to save it."""

from pathlib import Path
from typing import Any

from modellego.drawing.figure import new_figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito: safe for all eyes


def subplots(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """Return a figure and its axes, an array `[rows, columns]`; `size` in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(size)
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.flat:
        one.grid(alpha=0.25)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Any, path: Path) -> list[Path]:
    """Save a figure as PNG and SVG beside each other; the same figure gives the same files."""
    from matplotlib import rc_context

    files = [path.with_suffix(ending) for ending in (".png", ".svg")]
    with rc_context({"svg.hashsalt": "modellego", "svg.fonttype": "path"}):
        for file in files:
            figure.savefig(file, dpi=120, metadata={"Date": None} if file.suffix == ".svg" else None)
    return files

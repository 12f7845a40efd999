"""A figure to draw into (extra `plot`)."""

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modellego.errors import MissingExtraError


def new_figure(size: tuple[float, float]) -> Any:
    """Return an empty matplotlib figure, `size` in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    return Figure(figsize=size, layout="constrained")


def as_png(draw: Callable[[Path], object]) -> bytes | None:
    """Return what a notebook shows of something that can be drawn to a file, or None where matplotlib is missing.

    >>> as_png(lambda path: path.write_bytes(b"a picture")) in (b"a picture", None)
    True
    """
    if find_spec("matplotlib") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="modellego-") as folder:
        draw(Path(folder) / "picture.png")
        return (Path(folder) / "picture.png").read_bytes()

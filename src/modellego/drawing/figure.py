"""A figure to draw into (extra `plot`)."""

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

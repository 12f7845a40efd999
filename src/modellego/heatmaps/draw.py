"""Heat maps of contributions on paper: classes x channels, and samples x channels (extra `plot`).

Source: the paper's figures of the soft relative contribution, categories x channels of one layer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modellego.drawing.palette import DARK, LIGHT, Palette
from modellego.errors import LegoError, MissingExtraError
from modellego.heatmaps.similarity import Similarity, class_similarity

_COLOURS = "cividis"  # reads the same with red-green blindness, and in grey
_SORTED = "channel, sorted by the class it gives most to"
_LETTERS = (4.0, 8.0)  # points, of names beside rows: smaller ones are left out


def draw_classes(
    contribution: NDArray[np.floating],
    classes: Sequence[str],
    path: str | Path,
    *,
    layer: str = "",
    sort: bool = False,
    dark: bool = False,
) -> None:
    """Draw relative contributions, float `[classes, channels]` in 0..1, into a `.png`, `.svg` or `.pdf`.

    `sort` puts channels beside each other that are strongest for the same class. Raises `LegoError` for arrays that
    do not fit the classes, `MissingExtraError` without matplotlib.
    """
    if contribution.ndim != 2 or len(contribution) != len(classes):
        shape = list(contribution.shape)
        raise LegoError(f"the contributions have shape {shape}, but there are {len(classes)} classes")
    order = channel_order(contribution) if sort else np.arange(contribution.shape[1])
    title = f"Relative contribution of {contribution.shape[1]:,} channels" + (f" that {layer} reads" if layer else "")
    axis = _SORTED if sort else "channel"
    middles = np.arange(len(classes), dtype=np.float64)
    _draw(contribution[:, order], title, "", axis, middles, list(classes), [], Path(path), DARK if dark else LIGHT)


def draw_samples(
    contribution: NDArray[np.floating],
    labels: NDArray[np.integer],
    classes: Sequence[str],
    path: str | Path,
    *,
    layer: str = "",
    sort: bool = False,
    dark: bool = False,
) -> Similarity:
    """Draw one row per sample, float `[samples, channels]` in 0..1, grouped by class, and return how alike they are.

    `labels` are int `[samples]`, numbers of `classes`; `sort` puts channels beside each other that are strongest for
    the same class. The similarity within and between classes stands above the picture.
    """
    similarity = class_similarity(contribution, labels)
    if labels.min() < 0 or labels.max() >= len(classes):
        raise LegoError(f"labels run from {labels.min()} to {labels.max()}, but there are {len(classes)} classes")
    rows = np.argsort(labels, kind="stable")
    present, starts, counts = np.unique(labels[rows], return_index=True, return_counts=True)
    names = [classes[int(label)] for label in present]
    means = np.stack([contribution[labels == label].mean(axis=0) for label in present])
    order = channel_order(means) if sort else np.arange(contribution.shape[1])
    title = f"Relative contribution, {len(labels):,} samples" + (f", {layer} reading" if layer else "")
    below = f"cosine similarity within a class {similarity.within:.3f}, between classes {similarity.between:.3f}"
    middles = starts + (counts - 1) / 2
    lines = [float(start) - 0.5 for start in starts[1:]]
    palette = DARK if dark else LIGHT
    axis = _SORTED if sort else "channel"
    _draw(contribution[np.ix_(rows, order)], title, below, axis, middles, names, lines, Path(path), palette)
    return similarity


def channel_order(contribution: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the channels in the order of the class they give most to, the strongest first within a class.

    >>> channel_order(np.array([[0.1, 0.9, 0.4], [0.8, 0.2, 0.3]])).tolist()
    [1, 2, 0]
    """
    return np.lexsort((-contribution.max(axis=0), contribution.argmax(axis=0))).astype(np.int64)


def _draw(
    values: NDArray[np.floating],
    title: str,
    below: str,
    axis: str,
    middles: NDArray[np.float64],
    names: Sequence[str],
    lines: Sequence[float],
    path: Path,
    palette: Palette,
) -> None:
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise LegoError(f"cannot draw into {path.name}: the ending must be .png, .svg or .pdf")
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    height = min(11.0, max(1.4, 0.26 * len(values) if not len(lines) else 0.045 * len(values)))
    with rc_context({"svg.hashsalt": "modellego", "svg.fonttype": "path", "font.size": 8}):
        figure = Figure(figsize=(9, height + 1.3), facecolor=palette.paper, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        image = axes.imshow(values, cmap=_COLOURS, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        letters = min(_LETTERS[1], 0.8 * 72 * height / len(names))
        shown = [name.replace("$", r"\$") for name in names] if letters >= _LETTERS[0] else []
        axes.set_yticks(middles if shown else [], shown, size=letters)
        axes.set_xlabel(axis, color=palette.muted)
        if axis == _SORTED:  # places say nothing there
            axes.set_xticks([])
        axes.set_title(
            title.replace("$", r"\$"), color=palette.ink, size=10, weight="bold", loc="left", pad=20 if below else 8
        )
        if below:
            axes.text(0, 1, below + "\n", transform=axes.transAxes, color=palette.muted, va="center", size=8)
        for line in lines:
            axes.axhline(line, color=palette.paper, lw=1.2)
        _quiet(axes, palette)
        bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.015, ticks=[0, 0.5, 1])
        bar.outline.set_visible(False)
        bar.ax.tick_params(colors=palette.muted, length=0)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=160, facecolor=palette.paper, metadata=metadata)


def _quiet(axes: Any, palette: Palette) -> None:
    axes.tick_params(colors=palette.muted, length=0)
    axes.tick_params(axis="y", labelcolor=palette.ink)
    for side in axes.spines.values():
        side.set_visible(False)

"""The route picture on paper: the same columns and packed marks as PNG, SVG or PDF (extra `plot`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modellego.decision_routes.layout import FigureLayout, lay_out
from modellego.decision_routes.route_graph import RouteGraph, roles
from modellego.drawing.palette import DARK, LIGHT, Palette, class_style
from modellego.errors import LegoError, MissingExtraError

_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle": "^"}


def save_picture(
    graph: RouteGraph,
    path: str | Path,
    *,
    threshold: float | None = None,
    classes: Sequence[str] | None = None,
    dark: bool = False,
) -> None:
    """Draw a route graph with matplotlib into `path`, whose ending says the format (`.png`, `.svg`, `.pdf`).

    `threshold` and `classes` choose what the picture shows, as the page's slider and switches do. Raises
    `MissingExtraError` without matplotlib and `LegoError` for an unknown class or ending.
    """
    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise LegoError(f"cannot draw into {path.name}: the ending must be .png, .svg or .pdf")
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    names = graph.classes if classes is None else tuple(classes)
    unknown = [name for name in names if name not in graph.classes]
    if unknown:
        raise LegoError(f"no class {unknown[0]} in this route graph; it has {', '.join(graph.classes)}")
    active = np.array([name in names for name in graph.classes])
    palette = DARK if dark else LIGHT
    level = graph.threshold if threshold is None else threshold
    marks = [roles(graph, index, level, active) for index in range(len(graph.layers))]
    plan = lay_out(graph, marks)
    # fixed ids and no date: the same graph gives the same SVG
    with rc_context({"svg.hashsalt": "modellego", "svg.fonttype": "path", "font.size": 8}):
        figure = Figure(figsize=plan.size, facecolor=palette.paper)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, plan.size[0]), ylim=(plan.size[1], 0))
        axes.axis("off")
        _draw_links(axes, graph, plan, palette)
        _draw_edges(axes, graph, plan, palette, level=level, active=active)
        _draw_marks(axes, graph, marks, plan, palette)
        _draw_words(axes, graph, marks, plan, palette, active=active)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=160, facecolor=palette.paper, metadata=metadata)


def _draw_links(axes: Any, graph: RouteGraph, plan: FigureLayout, palette: Palette) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Line

    for link in graph.links:
        a, b = plan.cards[link.source], plan.cards[link.target]
        e0, e1 = a.x + a.width + 0.05, b.x - 0.05
        if graph.columns[link.target] - graph.columns[link.source] > 1:
            x0, x1, y, y0, y1 = e0 + 0.06, e1 - 0.08, 0.85, a.y + 0.08, b.y + 0.08
            points = [(e0, y0), (x0, y0), (x0, y), (x1, y), (x1, y1), (e1, y1)]
            style = "dashed" if link.kind == "identity" else "solid"
            axes.plot(*zip(*points, strict=True), color=palette.muted, lw=0.8, ls=style, zorder=1)
            axes.scatter([e1 - 0.02], [y1], marker=">", s=9, c=palette.muted, zorder=1)
            continue
        middle, pad = (e0 + e1) / 2, 0.06
        (t0, b0), (t1, b1) = ((card.y - pad, card.y + card.height + pad) for card in (a, b))
        points = [(a.centre, t0), (e0, t0), (middle, t0), (middle, t1), (e1, t1), (b.centre, t1)]
        points += [
            (b.centre, b1),
            (e1, b1),
            (middle, b1),
            (middle, b0),
            (e0, b0),
            (a.centre, b0),
            (a.centre, t0),
        ]
        bend = [Line.LINETO, *[Line.CURVE4] * 3, Line.LINETO]
        codes = [Line.MOVETO, *bend, Line.LINETO, *bend, Line.CLOSEPOLY]
        axes.add_patch(PathPatch(Line(points, codes), fc=palette.band, ec="none", zorder=0))


def _draw_edges(
    axes: Any, graph: RouteGraph, plan: FigureLayout, palette: Palette, *, level: float, active: NDArray[np.bool_]
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Line

    for edges in graph.edges:
        p, q = edges.pairs[:, 0].astype(int), edges.pairs[:, 1].astype(int)
        a, b = plan.cards[edges.source], plan.cards[edges.target]
        both = graph.layers[edges.source].contribution[:, p] >= level
        both &= graph.layers[edges.target].contribution[:, q] >= level
        between = range(graph.columns[edges.source] + 1, graph.columns[edges.target])
        jumped = [card for card, column in zip(plan.cards, graph.columns, strict=True) if column in between]
        over = any(card.pitch > 0 for card in jumped) and all(card.alone for card in (a, b, *jumped))
        for at, number in zip(*np.nonzero((edges.weights > 0) & both.T & active), strict=True):
            weight = float(edges.weights[at, number])
            (x0, y0), (x1, y1) = a.spots[p[at]], b.spots[q[at]]
            bend = plan.gap if over else (x1 - x0) / 2
            knee = (0.2, 0.2) if over else (y0, y1)
            curve = [(x0, y0), (x0 + bend, knee[0]), (x1 - bend, knee[1]), (x1, y1)]
            line = Line(curve, [Line.MOVETO, *[Line.CURVE4] * 3])
            look = {
                "ec": class_style(int(number), palette)[0],
                "lw": 0.3 + weight**2,
                "alpha": 0.08 + 0.45 * weight**2,
            }
            axes.add_patch(PathPatch(line, fc="none", zorder=2, **look))


def _draw_marks(
    axes: Any, graph: RouteGraph, marks: Sequence[NDArray[np.int64]], plan: FigureLayout, palette: Palette
) -> None:
    for role, card in zip(marks, plan.cards, strict=True):
        if not len(role):
            axes.bar(card.centre, card.height, card.width, card.y, color=palette.muted, alpha=0.6)
        area = (0.78 * card.pitch * 72) ** 2
        for value in np.unique(role):
            x, y = card.spots[role == value].T
            colour, shape = _style(int(value), palette)
            size = 0.3 * area if value == -2 else area
            axes.scatter(x, y, s=size, c=colour, marker=_MARKERS[shape], lw=0.5, ec=palette.band, zorder=3)


def _draw_words(
    axes: Any,
    graph: RouteGraph,
    marks: Sequence[NDArray[np.int64]],
    plan: FigureLayout,
    palette: Palette,
    *,
    active: NDArray[np.bool_],
) -> None:
    for layer, card, y in zip(graph.layers, plan.cards, plan.names, strict=True):
        words = layer.name if len(layer.name) <= 18 else "…" + layer.name[-17:]
        axes.text(card.centre, y, _plain(words), ha="center", color=palette.ink, size=7)
        if layer.channels:
            axes.text(card.centre, y + 0.13, f"{layer.channels:,}", ha="center", color=palette.muted, size=6)
    axes.text(0.3, 0.32, _plain(graph.title), color=palette.ink, size=12, weight="bold")
    present = {int(value) for role in marks for value in np.unique(role)}
    shown = [number for number in range(len(graph.classes)) if active[number]][:8]
    key = [(f"only {graph.classes[number]}", number) for number in shown]
    key += [(word, value) for word, value in (("shared", -1), ("unused", -2)) if value in present]
    x = 0.3
    for word, value in key:
        colour, shape = _style(value, palette)
        axes.scatter([x + 0.05], [0.56], s=10 if value == -2 else 24, c=colour, marker=_MARKERS[shape])
        axes.text(x + 0.15, 0.56, _plain(word), color=palette.muted, size=7.5, va="center_baseline")
        x += 0.42 + 0.06 * len(word)


def _style(role: int, palette: Palette) -> tuple[str, str]:
    if role >= 0:
        return class_style(role, palette)
    return (palette.shared if role == -1 else palette.unused), "circle"


def _plain(words: str) -> str:
    """Keep matplotlib from reading dollar signs as mathematics."""
    return words.replace("$", r"\$")

"""The report's charts as plain HTML and inline SVG: bars, confusion matrix, histogram. No script needed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modellego.decision_routes.page import text
from modellego.drawing import words
from modellego.reporting.contents import Floats, ModelSize, OffTaskConfidence, ReportData, Width
from modellego.reporting.glossary import term

_MEASURES = (
    ("Parameters", "parameters", words.count),
    ("MACs for one image", "macs", words.count),
    ("Bytes", "bytes", words.size),
    ("Latency", "latency_ms", words.milliseconds),
)
_NUMBERED = 24  # classes up to which the confusion matrix has names and numbers
_BINS = 25


def size_bars(sizes: Sequence[ModelSize]) -> str:
    """Return one small bar chart a measure; the last size is the model itself, the others its sources."""
    charts = []
    for title, field, spell in _MEASURES:
        values = [getattr(size, field) for size in sizes]
        if values[-1] is None or (None in values and field == "bytes"):
            continue
        largest = max(value or 0 for value in values) or 1
        known = [value for value in values[:-1] if value is not None]
        rows = []
        for size, value in zip(sizes, values, strict=True):
            own = size is sizes[-1]
            part = words.ratio(value, sum(known)) if own and len(known) == len(values) - 1 else ""
            rows.append(
                f'<div class="bar-row{" own" if own else ""}"><span class="bar-name">{text(size.name)}</span>'
                f"{_bar((value or 0) / largest)}"
                f'<span class="bar-value">{spell(value)}{f" <small>{part}</small>" if part else ""}</span></div>'
            )
        charts.append(f'<div class="measure"><h3>{term(title, title.split()[0])}</h3>{"".join(rows)}</div>')
    return f'<div class="measures">{"".join(charts)}</div>'


def class_bars(data: ReportData) -> str:
    """Return a bar for each class's accuracy, with a tick where the uncut source restricted to the task stands."""
    per_class = data.per_class
    if per_class is None:
        return ""
    rows = []
    for index, name in enumerate(data.classes):
        value = float(per_class[index])
        tick = None if data.restricted_per_class is None else float(data.restricted_per_class[index])
        hint = f"{name}: {words.share(value)} %"
        if tick is not None:
            hint += f"; base restricted {words.share(tick)} %"
        rows.append(
            f'<div class="bar-row" title="{text(hint)}"><span class="bar-name">{text(name)}</span>'
            f'{_bar(0 if math.isnan(value) else value, tick)}<span class="bar-value">{words.share(value)}</span></div>'
        )
    return f'<div class="bars{" many" if len(rows) > 12 else ""}">{"".join(rows)}</div>'


def width_bars(widths: Sequence[Width]) -> str:
    """Return a bar for each layer: its channels before the cut as the track, after the cut as the filled part."""
    widest = max(width.before for width in widths)
    charts = []
    for group in dict.fromkeys(width.group for width in widths):
        rows = [_width_row(width, widest) for width in widths if width.group == group]
        head = f"<h3>{text(group)}</h3>" if group else ""
        charts.append(f'{head}<div class="bars{" many" if len(rows) > 12 else ""}">{"".join(rows)}</div>')
    return "".join(charts)


def _width_row(width: Width, widest: int) -> str:
    return (
        f'<div class="bar-row" title="{text(width.name)}: {width.after} of {width.before} channels kept">'
        f'<span class="bar-name">{_breakable(width.name)}</span><svg class="bar plain" aria-hidden="true">'
        f"{_part('track', width.before / widest)}{_part('fill', width.after / widest)}</svg>"
        f'<span class="bar-value">{width.after}<small> of {width.before}</small></span></div>'
    )


def _breakable(path: str) -> str:
    """Return a module path that may be broken behind its dots."""
    return text(path).replace(".", ".<wbr>")


def confusion_svg(confusion: NDArray[np.integer], classes: Sequence[str], groups: Sequence[str] = ()) -> str:
    """Return the confusion matrix, rows the true class; each row is shaded by its shares.

    Up to 24 classes have names and per cent; more are drawn as cells that tell their numbers when hovered.
    """
    count = len(classes)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    named = count <= _NUMBERED
    cell = (40 if count <= 12 else 30) if named else max(2.0, min(10.0, 540 / count))
    longest = max(len(name) for name in classes)
    turned = longest * 6.7 > cell - 4
    label = 8 + 6.7 * longest if named else 8
    top = (12 + 5.2 * longest if turned else 26) if named else 8
    parts = []
    for row, column in zip(*np.nonzero(shares >= (0.0005 if count <= 150 else 0.01)), strict=True):
        value, x, y = float(shares[row, column]), label + column * cell, top + row * cell
        hint = f"{classes[row]} taken for {classes[column]}" if row != column else f"{classes[row]} right"
        kind = "right" if row == column else "wrong"
        gap = 1 if cell > 6 else 0
        parts.append(
            f'<rect class="{kind}" x="{x:.6g}" y="{y:.6g}" width="{cell - gap:.6g}" height="{cell - gap:.6g}" '
            f'fill-opacity="{max(0.03, value) ** 0.6:.3f}"><title>{text(hint)}: {confusion[row, column]} images, '
            f"{words.share(value)} %</title></rect>"
        )
        if named:
            tone = " strong" if value > 0.5 else ""
            number = f"{100 * value:.0f}" if value >= 0.005 else ""
            parts.append(
                f'<text class="cell{tone}" x="{x + cell / 2 - 0.5:g}" y="{y + cell / 2 + 3.5:g}">{number}</text>'
            )
    if named:
        parts += _names(classes, label, top, cell, turned)
    parts += _group_lines(groups, label, top, cell, count)
    side = count * cell
    beyond = 4.4 * longest - cell / 2 + 8 if named and turned else 0  # the last column's name leans to the right
    width, height = label + side + max(24, beyond), top + side + 4
    frame = f'<rect class="frame" x="{label}" y="{top}" width="{side:.6g}" height="{side:.6g}"/>'
    return (
        f'<svg class="confusion{"" if named else " shrinks"}" viewBox="0 0 {width:.6g} {height:.6g}" '
        f'width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="Confusion matrix of {count} classes, rows the true class, columns the answer">'
        f"{frame}{''.join(parts)}</svg>"
    )


def confusions_list(confusion: NDArray[np.integer], classes: Sequence[str], most: int = 6) -> str:
    """Return the most frequent mistakes as a table: which class is taken for which, and how often."""
    wrong = confusion.astype(np.int64).copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    rows = []
    for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[row, column]:
            part = words.share(wrong[row, column] / confusion[row].sum())
            rows.append(
                f"<tr><td>{text(classes[row])}</td><td>{text(classes[column])}</td>"
                f"<td>{wrong[row, column]}</td><td>{part} %</td></tr>"
            )
    if not rows:
        return "<p>No image was taken for another class.</p>"
    head = "<tr><th>Class</th><th>taken for</th><th>images</th><th>of the class</th></tr>"
    return (
        f'<div class="scroll"><table class="mistakes"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def histogram(off: OffTaskConfidence) -> str:
    """Return both confidence histograms over each other, each scaled to its own number of images."""
    scale = _scale(off)
    edges = np.linspace(0, 1, _BINS + 1)
    inside, outside = (_density(scale.place(values), edges) for values in (off.inside, off.outside))
    tallest = max(inside.max(initial=0), outside.max(initial=0)) or 1
    bars = "".join(
        f'<rect class="{name}" x="{index * 100 / _BINS + 0.2:.6g}" y="{100 - 100 * value / tallest:.6g}" '
        f'width="{100 / _BINS - 0.4:.6g}" height="{100 * value / tallest:.6g}"/>'
        for name, values in (("inside", inside), ("outside", outside))
        for index, value in enumerate(values)
        if value > 0
    )
    limit = ""
    if off.threshold is not None:
        at = 100 * float(scale.place(np.array([off.threshold]))[0])
        limit = f'<line class="limit" x1="{at:.6g}" x2="{at:.6g}" y1="0" y2="100"/>'
    at_ticks = 100 * scale.place(np.array(scale.ticks))
    anchors = ["start", *["middle"] * (len(scale.ticks) - 2), "end"]
    axis = "".join(
        f'<text x="{at:.4g}%" y="14" text-anchor="{anchor}">{tick:.6g}</text>'
        for tick, at, anchor in zip(scale.ticks, at_ticks, anchors, strict=True)
    )
    return (
        '<div class="histogram"><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        'aria-label="Histogram of confidence for images of the task and of other classes">'
        f'{bars}{limit}</svg><svg class="axis">{axis}</svg></div>'
    )


@dataclass(frozen=True)
class _Scale:
    """An axis: where values stand on it in 0..1, and which are written beside it."""

    place: Callable[[Floats], Floats]
    ticks: Sequence[float]


def _scale(off: OffTaskConfidence) -> _Scale:
    """Choose the axis: 0..1 for what lies there, else all but the outermost hundredth, which stands at the ends.

    Where more than half of the task's images lie above 0.95 of 1, it is logarithmic in the distance from 1.
    """
    both = np.concatenate([off.inside, off.outside])
    if both.size == 0 or (both.min() >= 0 and both.max() <= 1):
        if both.size and float(np.median(off.inside)) > 0.95:
            return _Scale(_nines, (0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999))
        return _Scale(np.asarray, (0, 0.25, 0.5, 0.75, 1))
    low, high = (float(v) for v in np.quantile(both, [0.005, 0.995]))
    ticks = _round_numbers(low, high if high > low else low + 1)
    first, last = min(low, ticks[0]), max(high, ticks[-1])
    return _Scale(lambda values: np.clip((np.asarray(values) - first) / (last - first), 0, 1), ticks)


def _round_numbers(low: float, high: float) -> list[float]:
    """Return five to eleven round numbers, from the last at or below `low` to the first at or above `high`.

    >>> _round_numbers(-0.7, 13.2)
    [-2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]
    """
    rough = (high - low) / 6
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(m * size for m in (1, 2, 5, 10) if m * size >= 0.7 * rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _nines(values: Floats) -> NDArray[np.float64]:
    """Spread values near 1 over 0..1: each further nine takes a fifth."""
    return np.clip(-np.log10(np.clip(1 - values, 1e-5, 1)) / 5, 0, 1)


def _density(values: Floats, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts, _ = np.histogram(values, edges)
    return counts / max(1, len(values))


def _bar(share: float, tick: float | None = None) -> str:
    known = tick is not None and not math.isnan(tick)
    mark = f'<rect class="mark" x="{100 * (tick or 0):.2f}%" y="-3" width="2" height="14"/>' if known else ""
    return f'<svg class="bar" aria-hidden="true">{_part("fill", share)}{mark}</svg>'


def _part(kind: str, share: float) -> str:
    return f'<rect class="{kind}" width="{100 * share:.2f}%" height="100%" rx="2"/>'


def _names(classes: Sequence[str], label: float, top: float, cell: float, turned: bool) -> list[str]:
    parts = []
    for index, name in enumerate(classes):
        shown = text(name)
        at = (index + 0.5) * cell
        parts.append(f'<text class="row" x="{label - 7:g}" y="{top + at + 4:g}">{shown}</text>')
        if turned:
            turn = f"translate({label + at + 3:g} {top - 6:g}) rotate(-50)"
            parts.append(f'<text class="column turned" transform="{turn}">{shown}</text>')
        else:
            parts.append(f'<text class="column" x="{label + at:g}" y="{top - 8:g}">{shown}</text>')
    return parts


def _group_lines(groups: Sequence[str], label: float, top: float, cell: float, count: int) -> list[str]:
    """Draw where the classes of one brick end and those of the next begin."""
    ends = [i for i in range(1, len(groups)) if groups[i] != groups[i - 1]]
    side = count * cell
    return [
        f'<path class="border" d="M{label + at * cell:g} {top}v{side:g}M{label} {top + at * cell:g}h{side:g}"/>'
        for at in ends
    ]

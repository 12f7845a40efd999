"""The family tree of a model as inline SVG: a wide drawing left to right and an indented one for phones."""

from dataclasses import dataclass
from textwrap import wrap

from modellego.decision_routes.page import text
from modellego.drawing.words import count
from modellego.reporting.contents import Lineage

_BOX_WIDTH, _LINE, _GAP_X, _GAP_Y = 214, 17, 56, 14
_KINDS = {"source": "source", "brick": "brick", "assembled": "assembled"}


def lineage_svg(root: Lineage) -> str:
    """Return both drawings; the style sheet shows the one that fits.

    >>> "cifar" in lineage_svg(Lineage("pets", "brick", 3, made_from=(Lineage("cifar", "source", 10),)))
    True
    """
    high = 15 + _LINE * _most_lines(root)
    return _wide(root, high) + _narrow(root, high)


@dataclass
class _Placed:
    node: Lineage
    x: float
    y: float


def _describe(node: Lineage) -> str:
    """Say the tree in words, for those who do not see it."""
    own = f"{node.name}, {node.kind} with {node.classes} classes"
    if not node.made_from:
        return own
    return f"{own}, made from: " + "; ".join(_describe(parent) for parent in node.made_from)


def _depth(node: Lineage) -> int:
    return 1 + max((_depth(parent) for parent in node.made_from), default=0)


def _wide(root: Lineage, high: float) -> str:
    """Sources at the left, the model at the right, in columns; parents stand around their child's height."""
    columns = _depth(root)
    placed: list[_Placed] = []
    lines: list[str] = []
    next_row = 0.0

    def visit(node: Lineage, column: int) -> _Placed:
        nonlocal next_row
        parents = [visit(parent, column - 1) for parent in node.made_from]
        if parents:
            y = (parents[0].y + parents[-1].y) / 2
        else:
            y = next_row
            next_row += high + _GAP_Y
        here = _Placed(node, column * (_BOX_WIDTH + _GAP_X), y)
        placed.append(here)
        for parent in parents:
            x0, x1 = parent.x + _BOX_WIDTH, here.x
            y0, y1, middle = parent.y + high / 2, y + high / 2, (x0 + x1) / 2
            lines.append(f'<path class="join" d="M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}"/>')
        return here

    visit(root, columns - 1)
    width = columns * (_BOX_WIDTH + _GAP_X) - _GAP_X
    height = next_row - _GAP_Y
    boxes = "".join(_box(place.node, place.x, place.y, high) for place in placed)
    return _frame("wide", root, width, height, "".join(lines) + boxes)


def _narrow(root: Lineage, high: float) -> str:
    """The model on top, what it was made from below it and indented."""
    parts: list[str] = []
    row = 0
    indent = 26

    def visit(node: Lineage, level: int) -> float:
        nonlocal row
        y = row * (high + _GAP_Y)
        row += 1
        x = level * indent
        parts.append(_box(node, x, y, high))
        for parent in node.made_from:
            below = visit(parent, level + 1)
            middle = below + high / 2
            start = y + high
            bend = f"M{x + 12} {start}V{middle - 6}q0 6 6 6H{x + indent}"
            parts.append(f'<path class="join" d="{bend}"/>')
        return y

    visit(root, 0)
    width = _BOX_WIDTH + (_depth(root) - 1) * indent
    return _frame("narrow", root, width, row * (high + _GAP_Y) - _GAP_Y, "".join(parts))


def _frame(kind: str, root: Lineage, width: float, height: float, body: str) -> str:
    box = f"-2 -2 {width + 4:g} {height + 4:g}"
    return (
        f'<svg class="lineage {kind}" viewBox="{box}" width="{width + 4:g}" height="{height + 4:g}" role="img" '
        f'aria-label="{text(_describe(root))}">{body}</svg>'
    )


def _box(node: Lineage, x: float, y: float, high: float) -> str:
    lines = "".join(
        f'<text class="{name}" x="{x + 14}" y="{y + 22 + _LINE * i}">{text(word)}</text>'
        for i, (name, word) in enumerate(_words(node))
    )
    title = text(f"{node.name}: {node.detail}" if node.detail else node.name)
    rect = f'<rect x="{x}" y="{y}" width="{_BOX_WIDTH}" height="{high}" rx="6"/>'
    bar = f'<rect class="edge" x="{x}" y="{y}" width="4" height="{high}" rx="2"/>'
    return f'<g class="model {node.kind}"><title>{title}</title>{rect}{bar}{lines}</g>'


def _words(node: Lineage) -> list[tuple[str, str]]:
    """The lines in a box, each with its class; long ones go on in the next line."""
    sizes = " · ".join(
        f"{count(value)} {unit}" for value, unit in ((node.parameters, "params"), (node.macs, "MACs")) if value
    )
    plural = "class" if node.classes == 1 else "classes"
    kind = f"{_KINDS[node.kind]} · {node.classes} {plural}"
    return [*(("name", line) for line in wrap(node.name, 26)), ("what", kind)] + [
        ("what", line) for line in wrap(sizes or node.detail, 34)
    ]


def _most_lines(node: Lineage) -> int:
    return max(len(_words(node)), *(_most_lines(parent) for parent in node.made_from), 0)

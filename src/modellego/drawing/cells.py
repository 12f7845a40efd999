"""A small table as HTML, as notebooks show it: no script, no style sheet, every text a text."""

from collections.abc import Sequence
from html import escape

_CELL = "padding:2px 10px;text-align:{side}"


def html_table(title: str, rows: Sequence[Sequence[str]], header: Sequence[str] = (), below: str = "") -> str:
    """Return a table with a bold title, first column left, others right, and a line of small print below.

    >>> html_table("<b>", [["cat", "1"]]).startswith("<div><b>&lt;b&gt;</b><table>")
    True
    """
    lines = [f"<tr>{''.join(_cell('th', i, text) for i, text in enumerate(header))}</tr>"] if header else []
    lines += [f"<tr>{''.join(_cell('td', i, text) for i, text in enumerate(row))}</tr>" for row in rows]
    small = f"<small>{escape(below)}</small>" if below else ""
    return f"<div><b>{escape(title)}</b><table>{''.join(lines)}</table>{small}</div>"


def _cell(tag: str, column: int, text: str) -> str:
    style = _CELL.format(side="left" if column == 0 else "right")
    return f'<{tag} style="{style}">{escape(text)}</{tag}>'

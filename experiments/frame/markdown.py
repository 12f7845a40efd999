"""Figures as Markdown: a table, per cent, millions; what every reproduction's table is written with."""

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table, the first column left, the others right.

    >>> print(table(["task", "base"], [["0-2", "93.67"]]))
    | task | base |
    | --- | ---: |
    | 0-2 | 93.67 |
    """
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def percent(value: float | None) -> str:
    """Write a fraction as per cent.

    >>> percent(0.926), percent(None)
    ('92.60', '–')
    """
    return "–" if value is None else f"{100 * value:.2f}"


def millions(value: float) -> str:
    """Write a number in millions.

    >>> millions(40_813_184)
    '40.81 M'
    """
    return f"{value / 1e6:.2f} M"


def share(part: float, whole: float) -> str:
    """Write a part of a whole as per cent without decimals.

    >>> share(1, 4)
    '25 %'
    """
    return f"{100 * part / whole:.0f} %"

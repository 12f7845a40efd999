"""Numbers as people read them: counts, bytes, shares, times."""

import math


def count(value: float | None) -> str:
    """Return a count with a unit prefix and three figures.

    >>> count(272474), count(41_000_000), count(840), count(None)
    ('272 k', '41.0 M', '840', '–')
    """
    if value is None:
        return "–"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit * 0.9995:
            return f"{_three(value / limit)} {unit}"
    return f"{value:g}"


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number and what is counted.

    >>> counted(1, "class", "classes"), counted(2, "brick"), counted(1200, "image")
    ('1 class', '2 bricks', '1,200 images')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(value: int | None) -> str:
    """Return bytes in decimal units.

    >>> size(1_093_120), size(512)
    ('1.09 MB', '512 B')
    """
    return "–" if value is None else count(value) + ("B" if value >= 1000 else " B")


def share(value: float | None) -> str:
    """Return a share in per cent with one decimal.

    >>> share(0.98104), share(float("nan"))
    ('98.1', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def milliseconds(value: float | None) -> str:
    """Return a time in milliseconds with three figures.

    >>> milliseconds(1.23456)
    '1.23 ms'
    """
    return "–" if value is None else f"{_three(value)} ms"


def ratio(part: float | None, whole: float | None) -> str:
    """Return how large a part is of a whole, in per cent, or nothing when either is unknown.

    >>> ratio(41, 100), ratio(1, None)
    ('41 %', '')
    """
    if part is None or not whole:
        return ""
    percent = 100 * part / whole
    return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"

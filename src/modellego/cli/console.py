"""What a command says: tables and sentences on stdout, progress on stderr, or one JSON object."""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modellego.progress import silent


class PlainConsole(Console):
    """A console that prints names as they are: nothing in them is markup, an emoji code or an order to the terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn what is printed or stands in a table into Rich's text, invisible characters spelt out."""
        return super().render_str(printable(text), **options)

    def on_broken_pipe(self) -> None:
        """Whoever reads the output may stop: that is no error."""
        raise BrokenPipeError


def printable(text: str) -> str:
    r"""Spell out control and invisible characters, which could move the cursor or turn the direction of writing.

    >>> print(printable("a\x1b[31m\u202e.png"))
    a\x1b[31m\u202e.png
    """
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(
        c.encode("unicode_escape").decode() if c not in "\n\t" and unicodedata.category(c) in hidden else c
        for c in text
    )


stderr = PlainConsole(stderr=True)


def out() -> Console:
    """Return a console on today's stdout (tests swap it); where that is no terminal, wide enough for the tables."""
    return PlainConsole() if sys.stdout.isatty() else PlainConsole(width=120)


def note(text: str) -> None:
    """Say on stderr how far things are, where that is a terminal: elsewhere stderr holds errors alone."""
    if stderr.is_terminal:
        stderr.print(text)


def remark(text: str) -> None:
    """Print a sentence that should not be overlooked."""
    out().print(text, style="yellow")


def warn(text: str) -> None:
    """Say on stderr, in one line, what may make the result other than what is wanted."""
    typer.echo(f"note: {text}", err=True)


@contextmanager
def progress(title: str, unit: str = "images") -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr while the block runs, where that is a terminal, and log; yields `update(done, total)`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<14}"), BarColumn(30), MofNCompleteColumn(), TextColumn(unit))
    with Progress(*columns, TimeRemainingColumn(), console=stderr, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            log(done, total)

        with silent(title, unit) as log:
            yield update


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    typer.echo(json.dumps(value, allow_nan=False, default=str))


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a table, the first column left, the others right."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    out().print(table)


def percent(value: float | None) -> str:
    """Write a fraction as per cent, or a dash.

    >>> percent(0.9267), percent(None)
    ('92.67 %', '–')
    """
    return "–" if value is None else f"{100 * value:.2f} %"


def amount(value: float) -> str:
    """Write a large number shortly.

    >>> amount(40_560_000), amount(272), amount(4.1e9)
    ('40.6 M', '272', '4.10 G')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}" if value / size >= 10 else f"{value / size:.2f} {unit}"
    return f"{value:.0f}"

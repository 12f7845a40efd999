"""What names from outside may do to the terminal: nothing."""

import io

import pytest
from rich.table import Table

from modellego.cli.console import PlainConsole, printable

NASTY = [
    "a[/x]",
    "[link=file:///etc/passwd]a[/link]",
    "[x].png",
    ":smile:",
    "\x1b[31mred",
    "\u202egnp.exe",
    "a\u200bb",
    "\udcff",
]


def shown(text: str) -> str:
    out = io.StringIO()
    console = PlainConsole(file=out, width=200, force_terminal=False)
    console.print(text)
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    console.print(table)
    return out.getvalue()


@pytest.mark.parametrize("text", NASTY)
def test_a_name_is_printed_as_it_is_spelt(text: str) -> None:
    spelt = printable(text)
    assert shown(text).count(spelt) == 4


@pytest.mark.parametrize("text", NASTY)
def test_nothing_invisible_reaches_the_terminal(text: str) -> None:
    assert all(c.isprintable() or c == "\n" for c in shown(text))

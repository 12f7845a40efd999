"""How help is laid out: options in panels, flags without a type."""

from collections.abc import Callable
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def panel(title: str) -> Callable[..., Any]:
    """Return `typer.Option` for options that stand together under a title; those of no panel come first.

    >>> panel("Budget")(help="Share of MACs.").rich_help_panel
    'Budget'
    """
    return partial(typer.Option, rich_help_panel=title)


class Command(TyperCommand):
    """A subcommand whose flags take no value, and whose help does not say that they do."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments and options, `--help` among them."""
        return _flags_bare(super().get_params(ctx))


class Group(TyperGroup):
    """All subcommands together; its own flags are shown likewise."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options that come before a subcommand."""
        return _flags_bare(super().get_params(ctx))


def _flags_bare(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) or getattr(param, "count", False):
            param.metavar = ""
    return params

"""Options that several commands share, declared once: one dataclass per group, spread over a command's own options."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, wraps
from typing import Any, get_type_hints


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose parameters of a dataclass type are one option for each field of it.

    Typer reads the options off the signature; the command itself is called with the dataclasses, filled in.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Size:
    ...     height: int
    ...     width: int = 3
    >>> def draw(name: str, size: Size) -> None:
    ...     print(name, size)
    >>> list(inspect.signature(with_groups(draw)).parameters)
    ['name', 'height', 'width']
    >>> with_groups(draw)(name="a", height=2, width=4)
    a Size(height=2, width=4)
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type] = {}
    spread: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        hint = hints[name]
        if isinstance(hint, type) and is_dataclass(hint):
            groups[name] = hint
            spread += _options(hint)
        else:
            spread.append(_option(name, hint, parameter.default))

    @wraps(command)
    def run(**given: Any) -> None:
        filled = {name: group(**{f.name: given.pop(f.name) for f in fields(group)}) for name, group in groups.items()}
        command(**given, **filled)

    run.__signature__ = inspect.Signature(spread)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in spread}
    return run


@cache
def _options(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    empty = inspect.Parameter.empty
    return [_option(f.name, hints[f.name], empty if f.default is MISSING else f.default) for f in fields(group)]


def _option(name: str, hint: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)

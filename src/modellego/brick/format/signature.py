"""A call's arguments held against the op's own schema, so that nothing reaches torch in a place it was not made for.

Torch itself takes a plain integer where a dtype, a layout or a memory format is asked for, as the number of an
enumeration, and crashes on a number that is none. Here each kind of parameter takes its own kind of value only.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from modellego.errors import FormatError

_UNARY = ("neg", "ceil", "floor", "sym_int", "sym_float")
_WHOLE = (int, torch.SymInt)
_NUMBER = (bool, int, float, torch.SymInt, torch.SymFloat, torch.SymBool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, _WHOLE) and not isinstance(value, bool)


_FITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Tensor": (lambda v: isinstance(v, (torch.Tensor, *_NUMBER)), "a tensor"),
    "int": (_is_whole, "a whole number"),
    "number": (lambda v: isinstance(v, _NUMBER), "a number"),
    "float": (lambda v: isinstance(v, _NUMBER) and not isinstance(v, bool), "a number"),
    "bool": (lambda v: isinstance(v, bool), "true or false"),
    "str": (lambda v: isinstance(v, str), "a string"),
    "ScalarType": (lambda v: isinstance(v, torch.dtype), "a dtype"),
    "Layout": (lambda v: isinstance(v, torch.layout), "a layout"),
    "MemoryFormat": (lambda v: isinstance(v, torch.memory_format), "a memory format"),
    "Device": (lambda v: isinstance(v, torch.device), "a device"),
}  # a kind of parameter that is not here takes its default only


def check_call(op: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse arguments that the op's schema does not name, or of another kind than it names.

    Raises:
        FormatError: an argument missing, too many, given twice or of the wrong kind.

    >>> check_call(torch.ops.aten.softmax.int, (torch.zeros(2), 0), {"dtype": torch.float32})
    >>> check_call(torch.ops.aten.softmax.int, (torch.zeros(2), 0), {"dtype": 99})
    Traceback (most recent call last):
        ...
    modellego.errors.FormatError: its argument 'dtype' must be a dtype, not 99
    """
    parameters = op._schema.arguments
    places = [p for p in parameters if not p.kwarg_only]
    if len(args) > len(places):
        raise FormatError(f"it takes {len(places)} arguments by place at most; got {len(args)}")
    given = dict(zip((p.name for p in places), args, strict=False))
    for name, value in kwargs.items():
        if name in given:
            raise FormatError(f"it gets the argument {name!r} twice")
        given[name] = value
    for parameter in parameters:
        if parameter.name in given:
            if parameter.name == "pin_memory" and given["pin_memory"]:
                raise FormatError("memory is not pinned: its argument 'pin_memory' must be left out")
            _check_value(
                parameter.name,
                _kind(str(parameter.real_type)),
                getattr(parameter, "N", None),
                given.pop(parameter.name),
            )
        elif not parameter.has_default_value():
            raise FormatError(f"it lacks the argument {parameter.name!r}")
    if given:
        raise FormatError(f"it takes no argument {next(iter(given))[:80]!r}")


def check_operator(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse an operator of Python that is not written as the generated code can write it.

    Raises:
        FormatError: keywords, too few or too many operands, none that is a node, or a bare number to the power of one
            (the code would read `-2 ** n`, which is not `(-2) ** n`).

    >>> check_operator("pow", (-2, 34), {})
    Traceback (most recent call last):
        ...
    modellego.errors.FormatError: pow works on bare numbers: write their result
    """
    wanted = 1 if name in _UNARY else 2
    if kwargs or len(args) != wanted:
        raise FormatError(f"{name} takes {wanted} operand{'s' * (wanted - 1)}, without keywords")
    if not any(isinstance(a, fx.Node) for a in args):
        raise FormatError(f"{name} works on bare numbers: write their result")
    if name in ("pow", "getitem") and not isinstance(args[0], fx.Node):
        raise FormatError(f"{name} takes a node first, not a bare number")


@functools.cache
def _kind(written: str) -> tuple[bool, bool, bool, str]:
    """Take a schema's type apart: whether it may be None, is a list, a list that may hold None, and of what."""
    match = re.fullmatch(r"(Optional\[)?(List\[)?(Optional\[)?(\w+)\]*", written)
    if match is None:  # a kind of parameter no op of the closed list has
        return True, False, False, ""
    may_be_none, is_list, of_none, kind = match.groups()
    return may_be_none is not None, is_list is not None, of_none is not None, kind


def _check_value(name: str, kind: tuple[bool, bool, bool, str], length: int | None, value: Any) -> None:
    may_be_none, is_list, of_none, item = kind
    if value is None and may_be_none:
        return
    fits, wanted = _FITS.get(item, (lambda v: False, "left out"))
    if not is_list:
        good = fits(value)
    elif isinstance(value, list | tuple):
        good = all(fits(v) or (of_none and v is None) for v in value)
    else:
        good = length is not None and fits(value)  # one number for all of a list of known length
    if not good:
        raise FormatError(
            f"its argument {name!r} must be {'a list, each ' if is_list else ''}{wanted}, not {str(value)[:60]}"
        )

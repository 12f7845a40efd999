"""What a caller says about a source model, in text or as values: sizes, numbers, class names."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from modellego.errors import SourceError

Numbers = str | float | Sequence[float]
Size = str | int | Sequence[int]


def parse_size(size: Size | None) -> tuple[int, int] | None:
    """Turn `32`, `"32"`, `"32x48"` or (32, 48) into (height, width).

    >>> parse_size("32x48"), parse_size(28)
    ((32, 48), (28, 28))
    """
    if size is None:
        return None
    parts = re.split(r"[x,]", size) if isinstance(size, str) else [size] if isinstance(size, int) else list(size)
    try:
        sides = [int(p) for p in parts]
    except ValueError:
        sides = []
    if len(sides) not in {1, 2} or min(sides) < 1:
        raise SourceError(f"the input size {size!r} is not a size: write 32, or 32x48 for height x width")
    return sides[0], sides[-1]


def parse_numbers(values: Numbers | None, what: str) -> tuple[float, ...] | None:
    """Turn `"0.49,0.48,0.45"`, a number or a list into a tuple of floats.

    >>> parse_numbers("0.5, 0.25", "mean")
    (0.5, 0.25)
    """
    if values is None:
        return None
    parts = values.split(",") if isinstance(values, str) else [values] if isinstance(values, int | float) else values
    try:
        return tuple(float(p) for p in parts)
    except ValueError:
        raise SourceError(
            f"{what} {values!r} is not a list of numbers: write one per channel, 0.49,0.48,0.45"
        ) from None


def read_class_names(names: str | os.PathLike[str] | Sequence[str]) -> tuple[str, ...]:
    """Class names from a file (one per line, or a JSON list), from a text with commas, or from a list.

    >>> read_class_names("cat, dog")
    ('cat', 'dog')
    """
    if not isinstance(names, str | os.PathLike):
        return tuple(str(n) for n in names)
    path = Path(names).expanduser()
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        try:
            found = json.loads(text) if text.lstrip().startswith("[") else text.splitlines()
        except ValueError as error:
            raise SourceError(f"{path} is not a JSON list of class names: {error}") from error
    elif "," not in str(names) and (os.sep in str(names) or path.suffix.lower() in {".txt", ".json"}):
        raise SourceError(f"there is no file of class names {names}")
    else:
        found = str(names).split(",")
    listed = tuple(str(n).strip() for n in found if str(n).strip())
    if not listed:
        raise SourceError(f"{names} holds no class names")
    return listed

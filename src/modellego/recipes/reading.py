"""The text of a recipe as plain values, with the line of each, so that errors can name it.

YAML as of version 1.2's core schema: only `true`, `false`, `null` and numbers are anything else than text. (Of `no` as
a class name, YAML 1.1 makes False.) No tags, no key given twice; what an alias repeats is counted each time.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from modellego.errors import RecipeError

MAX_BYTES = 64_000
MAX_VALUES = 5_000
MAX_BRACKETS = 500  # nested ones take the reader time that grows with their square
Place = tuple[str | int, ...]
_WORDS = (
    (re.compile(r"~|null|Null|NULL|"), None),
    (re.compile(r"true|True|TRUE"), True),
    (re.compile(r"false|False|FALSE"), False),
)
_TAG = re.compile(r"tag:yaml\.org,2002:\w+")  # what the reader itself gives to values without one
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Written:
    """A recipe as it was written: its name, its text, the values, and the line of every value by its place."""

    name: str
    text: str
    values: Any
    lines: dict[Place, int]

    def line(self, place: Place) -> int:
        """Return the line of a value, or of the nearest one around it."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]

    def error(self, place: Place, words: str) -> RecipeError:
        """Return an error that names file, line and place."""
        where = ".".join(map(str, place))
        return RecipeError(f"{self.name}:{self.line(place)}: {where + ': ' if where else ''}{words}")


def read_yaml(text: str, name: str) -> Written:
    """Read a recipe's text.

    Raises:
        RecipeError: it is no YAML, or says more than a recipe may; the message names the line.

    >>> found = read_yaml("bricks:\\n  low: {classes: [no, 0-4, 7]}", "a.yaml")
    >>> found.values, found.line(("bricks", "low", "classes", 1))
    ({'bricks': {'low': {'classes': ['no', '0-4', 7]}}}, 2)
    """
    if len(text.encode()) > MAX_BYTES:
        raise RecipeError(f"{name} is larger than {MAX_BYTES // 1000} kB: that is no recipe")
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise RecipeError(f"{name} has more than {MAX_BRACKETS} brackets: that is no recipe")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise RecipeError(f"{name}:{line}: this is no YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{name} is no YAML: {str(error).splitlines()[0]}") from None
    if root is None:
        raise RecipeError(f"{name} is empty: write sources, data and bricks into it")
    reader = _Reader(name)
    return Written(name, text, reader.value(root, ()), reader.lines)


class _Reader:
    """Turns nodes into values and notes their lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Place, int] = {}

    def value(self, node: yaml.Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        if len(self.lines) > MAX_VALUES or len(place) > 20:
            raise RecipeError(f"{self.name}:{line}: a recipe holds at most {MAX_VALUES} values, 20 deep")
        if not _TAG.fullmatch(node.tag):
            raise RecipeError(f"{self.name}:{line}: a recipe has no tags such as {node.tag}")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, i)) for i, item in enumerate(node.value)]
        text: str = node.value
        return text if node.style else _scalar(text)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise RecipeError(f"{self.name}:{line}: a key must be a word")
            if key.value in found:
                raise RecipeError(f"{self.name}:{line}: the key {key.value!r} is there twice")
            self.lines[(*place, key.value)] = line
            found[key.value] = self.value(item, (*place, key.value))
        return found


def _scalar(text: str) -> Any:
    """Read a plain scalar by the core schema.

    >>> [_scalar(text) for text in ("0.5", "7", "0-4", "no", "true", "~")]
    [0.5, 7, '0-4', 'no', True, None]
    """
    for pattern, value in _WORDS:
        if pattern.fullmatch(text):
            return value
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text

"""Class names: choosing some, and matching a data set's names to a model's."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modellego.errors import DataError

_NUMBER = r"\d{1,18}"


def resolve_classes(spec: str | int | Sequence[str | int], class_names: Sequence[str]) -> list[int]:
    """Turn `"0-2,7"`, `"cat,dog"`, or a list of numbers and names into class indices, in the order given.

    Indices count from 0 and a range includes both ends. Where classes are named by numbers, a number in text that
    would be one class by its name and another by its index is refused: `index:2-4` and `name:2-4` say which; an `int`
    is an index. A class asked for twice is kept once. Names may hold commas; case, spaces, hyphens and underscores do
    not matter where that leaves one class. Raises `DataError` for unknown names (with near ones) and for numbers out
    of range.

    >>> resolve_classes("0-1,Fox,1", ["cat", "dog", "fox"])
    [0, 1, 2]
    >>> resolve_classes("name:7-8", ["5", "6", "7", "8"]), resolve_classes("index:1", ["5", "6", "7", "8"])
    ([2, 3], [1])
    """
    parts: list[str | int] = []
    for part in [spec] if isinstance(spec, str | int) else spec:
        parts += _tokens(part, class_names) if isinstance(part, str) else [part]
    chosen = [k for part in parts for k in _resolve(part, class_names)]
    if not chosen:
        raise DataError("no classes are named: give indices and ranges such as 0-2,7, or names")
    return list(dict.fromkeys(chosen))


def _tokens(text: str, class_names: Sequence[str]) -> list[str]:
    """Split at commas, but keep a class name that holds commas whole: the longest one wins."""
    pieces = [piece.strip() for piece in text.split(",")]
    known = {_plain(name) for name in class_names if "," in name}
    tokens: list[str] = []
    while pieces:
        lengths = range(len(pieces), 1, -1) if known else range(0)
        length = next((n for n in lengths if _plain(",".join(pieces[:n])) in known), 1)
        tokens.append(",".join(pieces[:length]))
        del pieces[:length]
    return [token for token in tokens if token]


def _resolve(part: str | int, class_names: Sequence[str]) -> Sequence[int]:
    text = str(part).strip()
    span = re.fullmatch(rf"(?:(index|name):\s*)?(-?{_NUMBER})(?:\s*-\s*({_NUMBER}))?", text)
    if span:
        first = int(span[2])
        last = int(span[3]) if span[3] else first
        if first > last:
            raise DataError(f"the range {part} runs backwards: write {last}-{first}")
        wanted = range(first, last + 1)
        reading = "index" if isinstance(part, int) else span[1]
        return _numbered(wanted, text, reading, class_names)
    fits = [k for k, name in enumerate(class_names) if name == str(part)]
    fits = fits or [k for k, name in enumerate(class_names) if _plain(name) == _plain(text)]
    if len(fits) > 1:
        raise DataError(f"{text!r} names the classes {_listed(fits)}: give the index")
    if not fits:
        raise DataError(f"there is no class {text!r}{near(text, class_names)}")
    return fits


def _numbered(wanted: range, text: str, reading: str | None, class_names: Sequence[str]) -> Sequence[int]:
    """Read numbers as indices or as names; where classes are named by numbers, an index has to be called one."""
    count = len(class_names)
    place = {int(name): k for k, name in reversed(list(enumerate(class_names))) if re.fullmatch(_NUMBER, name)}
    outside = wanted[0] if not 0 <= wanted[0] < count else wanted[-1]
    inside = 0 <= outside < count
    if reading == "index" or (reading is None and not place):
        if inside:
            return wanted
        hint = f"; the class named {str(outside)!r} has index {place[outside]}" if outside in place else ""
        raise DataError(f"class index {outside} is out of range: there are {count}, 0 to {count - 1}{hint}")
    missing = next((n for n in wanted if n not in place), None)
    named = [place[n] for n in wanted] if missing is None else []
    if named and (reading == "name" or not inside or named == list(wanted)):
        return named
    bare = text.removeprefix("name:").strip()
    by_index = f"index:{bare} for the classes {_few([class_names[n] for n in wanted])}" if inside else ""
    if named:
        raise DataError(f"classes here are named by numbers: write name:{bare}, or {by_index}")
    also = f"; their numbers are names: write {by_index}" if by_index else ""
    raise DataError(f"there is no class named '{missing}'{near(str(missing), class_names)}{also}")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 7 else f"{', '.join(names[:3])}, ..., {names[-1]}"


def near(text: str, names: Sequence[str]) -> str:
    """The end of a sentence about an unknown name: the names close to it, else some of those there are.

    >>> near("catt", ["cat", "dog"])
    ': did you mean cat?'
    """
    plain = {_plain(name): name for name in names}
    found = difflib.get_close_matches(_plain(text), plain, n=3, cutoff=0.6)
    if found:
        return f": did you mean {' or '.join(plain[name] for name in found)}?"
    return f": there are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"


def _plain(name: str) -> str:
    """A name without case, and with spaces, hyphens and underscores alike."""
    return re.sub(r"[\s_-]+", " ", name.strip()).casefold().replace(", ", ",")


def _tail(name: str) -> str:
    """A name without the prefix that keeps equal names of two bricks apart."""
    return re.split(r"[/:]", name)[-1]


def _listed(numbers: Sequence[int]) -> str:
    return " and ".join(map(str, numbers)) if len(numbers) < 4 else f"{numbers[0]}, {numbers[1]}, ..."


def match_labels(
    labels: Sequence[str], classes: Sequence[str], mapping: Mapping[str, str | int] | None = None
) -> NDArray[np.int64]:
    """For each of a data set's class names, the index of the model's class it fits, else -1 (int64).

    A label fits a class of the same name, or of the same name behind a prefix (`pets/cat`); where there is
    none, one that differs in case, spaces, hyphens and underscores only; then one that shares a synonym
    (names split at commas). `mapping` overrules: label -> class name or index. Equal lists match one to
    one. Raises `DataError` for a label that fits two classes, and for unknown names in the mapping.

    >>> match_labels(["Dog", "fox"], ["pets/cat", "pets/dog"]).tolist()
    [1, -1]
    """
    mapping = mapping or {}
    for label in mapping:
        if label not in labels:
            raise DataError(f"the data have no class {label!r} to map{near(label, labels)}")
    mapped = {label: _resolve(target, classes)[0] for label, target in mapping.items()}
    if list(labels) == list(classes):
        return np.array([mapped.get(label, k) for k, label in enumerate(labels)], np.int64)
    tables = [_table(classes, keys) for keys in (_names, _plain_names, _synonyms)]
    result = np.full(len(labels), -1, np.int64)
    for k, label in enumerate(labels):
        if label in mapped:
            result[k] = mapped[label]
            continue
        fits = tables[0].get(label) or tables[1].get(_plain(label))
        if not fits:
            fits = sorted({c for part in label.split(",") for c in tables[2].get(_plain(part), [])})
        if len(fits) > 1:
            named = " and ".join(f"{c} ({classes[c]})" for c in fits[:3])
            raise DataError(f"the label {label!r} fits the model's classes {named}: map it to one of them")
        if fits:
            result[k] = fits[0]
    return result


def _names(name: str) -> set[str]:
    return {name, _tail(name)}


def _plain_names(name: str) -> set[str]:
    return {_plain(name), _plain(_tail(name))}


def _synonyms(name: str) -> set[str]:
    return {_plain(part) for part in _tail(name).split(",")}


def _table(classes: Sequence[str], keys: Callable[[str], set[str]]) -> dict[str, list[int]]:
    table: dict[str, list[int]] = {}
    for k, name in enumerate(classes):
        for key in keys(name):
            table.setdefault(key, []).append(k)
    return table


def parse_mapping(pairs: Sequence[str]) -> dict[str, str | int]:
    """Turn `["crane=134", "Dog=pets/dog"]` into a mapping for `match_labels`; raises `DataError` without `=`.

    >>> parse_mapping(["crane=134"])
    {'crane': '134'}
    """
    for pair in pairs:
        if "=" not in pair:
            raise DataError(f"{pair!r} is not a mapping: write label=class")
    return {label.strip(): target.strip() for label, _, target in (p.rpartition("=") for p in pairs)}

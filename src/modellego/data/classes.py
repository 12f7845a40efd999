"""Class names: choosing some, one by one or several as one class."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modellego.data.synonyms import alike, plain, synonyms
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
    targets = resolve_targets(spec, class_names)
    joined = next((t.name for t in targets if t.joined), None)
    if joined is not None:
        raise DataError(f"{joined!r} is made of other classes: that can be asked for where a brick is cut")
    return [k for target in targets for k in target.members]


@dataclass(frozen=True)
class Target:
    """A class that is asked for: its name, and the classes of the model, by index, that it is made of.

    `joined` says that it was written with a name of its own.
    """

    name: str
    members: tuple[int, ...]
    joined: bool = False


def resolve_targets(spec: str | int | Sequence[str | int], class_names: Sequence[str]) -> list[Target]:
    """Turn what `resolve_classes` takes into classes to ask for, of which some may be made of several.

    `cat=281-285` is one class of five, `cat=281,cat=285` one of two; `cat=tabby` gives a class another name. Raises
    `DataError` as `resolve_classes` does, and for a class in two of them.

    >>> resolve_targets("pet=cat,pet=dog,fox", ["cat", "dog", "fox"])
    [Target(name='pet', members=(0, 1), joined=True), Target(name='fox', members=(2,), joined=False)]
    """
    found: dict[str, Target] = {}
    for part in [spec] if isinstance(spec, str | int) else spec:
        for token in _tokens(part, class_names) if isinstance(part, str) else [part]:
            name, text = _joined(token, class_names)
            for k in _resolve(text, class_names):
                own = name or class_names[k]
                known = found.get(own, Target(own, (), name is not None))
                if known.joined != (name is not None):
                    raise DataError(f"{own!r} is asked for both as it is and made of others: take another name")
                found[own] = Target(own, tuple(dict.fromkeys([*known.members, k])), known.joined)
    if not found:
        raise DataError("no classes are named: give indices and ranges such as 0-2,7, or names")
    owner: dict[int, str] = {}
    for target in found.values():
        for k in target.members:
            if owner.setdefault(k, target.name) != target.name:
                raise DataError(f"class {class_names[k]!r} is in {owner[k]!r} and {target.name!r}: keep it in one")
    return list(found.values())


def _joined(token: str | int, class_names: Sequence[str]) -> tuple[str | None, str | int]:
    """Split `cat=281-285` into the new name and the classes; a class whose own name holds such a sign is left whole."""
    if isinstance(token, int) or "=" not in token or token in class_names:
        return None, token
    name, _, text = token.partition("=")
    if not name.strip() or not text.strip():
        raise DataError(f"{token!r} names no class made of others: write cat=281-285")
    return name.strip(), text.strip()


def _tokens(text: str, class_names: Sequence[str]) -> list[str]:
    """Split at commas, but keep a class name that holds commas whole: the longest one wins."""
    pieces = [piece.strip() for piece in text.split(",")]
    known = {plain(name) for name in class_names if "," in name}
    tokens: list[str] = []
    while pieces:
        lengths = range(len(pieces), 1, -1) if known else range(0)
        parts = (",".join(pieces[:n]) for n in lengths)
        length = next((p.count(",") + 1 for p in parts if known & {plain(p), plain(p.partition("=")[2])}), 1)
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
    fits = fits or [k for k, name in enumerate(class_names) if plain(name) == plain(text)]
    fits = fits or [k for k, name in enumerate(class_names) if not synonyms(name).isdisjoint(synonyms(text))]
    if len(fits) > 1:
        raise DataError(f"{text!r} names the classes {_listed(fits)}: give the index")
    if not fits:
        raise DataError(f"there is no class {text!r}{_alike(text, class_names)}")
    return fits


def _alike(text: str, class_names: Sequence[str]) -> str:
    """The end of a sentence about an unknown class: where several resemble it, all of them may be meant."""
    fits = [k for k, name in enumerate(class_names) if alike(text, name)]
    if len(fits) < 2:
        return near(text, class_names)
    named = " or ".join(f"{class_names[k]} ({k})" for k in fits[:3]) + (" or ..." if len(fits) > 3 else "")
    return f": did you mean {named}? Several as one class are written {text}={fits[0]},{text}={fits[1]}"


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
    spelt = {plain(name): name for name in names}
    found = difflib.get_close_matches(plain(text), spelt, n=3, cutoff=0.6)
    if found:
        return f": did you mean {' or '.join(spelt[name] for name in found)}?"
    return f": there are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"


def _listed(numbers: Sequence[int]) -> str:
    return " and ".join(map(str, numbers)) if len(numbers) < 4 else f"{numbers[0]}, {numbers[1]}, ..."

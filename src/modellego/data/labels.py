"""Which class of a model each label of a data set means: by name, synset id, number, or a mapping that is given."""

import functools
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modellego.data.classes import near, resolve_classes
from modellego.data.synonyms import alike, imagenet, is_synset, plain, synonyms, tail
from modellego.errors import DataError

_NUMBER = r"\d{1,9}"
AGREEING = 0.8  # share of classes whose names are ImageNet's at their numbers: libraries rename some
MappingLike = Mapping[str, str | int] | str | os.PathLike[str]


class TwoClassesError(DataError):
    """A label fits two classes of a model, as that of two bricks which know the same class."""


@dataclass(frozen=True)
class Vocabulary:
    """The classes of a model and what else labels may call them.

    `members` holds for a class of several the names of those it is made of; `numbers` gives the class of a number among
    the `total` classes of the source that the model comes from.
    """

    classes: tuple[str, ...]
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: Mapping[int, int] = field(default_factory=dict)
    total: int = 0


@dataclass(frozen=True)
class Matching:
    """What each label means: `number` int64 `[labels]`, the index of the model's class or -1, and `how` it was found.

    `unsure` holds labels that fit no class, but resemble classes that no label fits.
    """

    labels: tuple[str, ...]
    classes: tuple[str, ...]
    number: NDArray[np.int64]
    how: tuple[str, ...]
    unsure: Mapping[str, tuple[str, ...]]

    @property
    def unmatched(self) -> tuple[str, ...]:
        """The labels that fit no class of the model."""
        return tuple(label for label, k in zip(self.labels, self.number, strict=True) if k < 0)

    @property
    def plain(self) -> bool:
        """Whether every label is the name of a class, letter by letter."""
        return all(how == "name" for how in self.how)

    def __str__(self) -> str:
        pairs = [
            f"{label} is {self.classes[k]} (by {how})"
            for label, k, how in zip(self.labels, self.number, self.how, strict=True)
            if k >= 0 and how != "name"
        ]
        named = sum(how == "name" for how in self.how)
        found = [f"{named} of {len(self.labels)} are classes of the model by name"] if named else []
        found += [few(pairs, "; ")] if pairs else []
        found += [f"no class of the model: {few(self.unmatched)}"] if self.unmatched else []
        return "; ".join(found)

    def check(self, wanted: Collection[int] | None = None) -> None:
        """Refuse labels that may or may not mean one of the wanted classes (indices; all by default).

        Raises:
            DataError: naming the first, and the classes it resembles.
        """
        for label, names in self.unsure.items():
            here = [name for name in names if wanted is None or self.classes.index(name) in wanted]
            if here:
                raise DataError(
                    f"the label {label!r} is no class of the model, but may mean {' or '.join(here[:3])}: "
                    f"map it to the class it means, or to nothing ({label}=)"
                )

    def need(self, wanted: Iterable[int]) -> None:
        """Refuse wanted classes (indices) that no label means, where there are labels that mean none.

        Raises:
            DataError: naming the first class and those labels.
        """
        missing = next((k for k in wanted if k not in self.number), None)
        if missing is not None and self.unmatched:
            raise DataError(
                f"no label of the data means the class {self.classes[missing]!r}; these mean no class of the model: "
                f"{few(self.unmatched)}: map the right one to it"
            )


def match(labels: Sequence[str], known: Vocabulary | Sequence[str], mapping: MappingLike | None = None) -> Matching:
    """Find for each of a data set's class names the class of a model it means; nothing is guessed.

    A label fits a class of the same name, or of the same name behind a prefix (`pets/cat`); where there is none, one
    that differs in case, spaces, hyphens and underscores only; then one that shares a synonym (names split at commas);
    then a class of several by the names of its members; an ImageNet synset id (n02123045) by its number and names; and,
    where no class is named by a number and no label is too large for one, a number by the source's numbering.
    `mapping` overrules: label -> class name or index, or an empty text for none of them; or a file, as `read_mapping`.
    Equal lists match one to one.

    Raises:
        TwoClassesError: a label that fits two classes.
        DataError: unknown names in the mapping.

    >>> found = match(["Dog", "cta", "n02123045"], ["tabby, tabby cat", "cat", "dog"])
    >>> found.number.tolist(), found.how, dict(found.unsure)
    ([2, -1, 0], ('spelling', '', 'synset'), {})
    >>> print(found)
    Dog is dog (by spelling); n02123045 is tabby, tabby cat (by synset); no class of the model: cta
    """
    known = known if isinstance(known, Vocabulary) else Vocabulary(tuple(known))
    classes, given = known.classes, read_mapping(mapping)
    for label in given:
        if label not in labels:
            raise DataError(f"the data have no class {label!r} to map{near(label, labels)}")
    mapped = {label: -1 if target == "" else resolve_classes([target], classes)[0] for label, target in given.items()}
    if list(labels) == list(classes):
        own = np.array([mapped.get(label, k) for k, label in enumerate(labels)], np.int64)
        return Matching(tuple(labels), classes, own, tuple("map" if x in mapped else "name" for x in labels), {})
    finder = _Finder(known, labels)
    found = [(mapped[label], "map") if label in mapped else finder.find(label) for label in labels]
    number = np.array([k for k, _ in found], np.int64)
    left = tuple(label for label, (k, how) in zip(labels, found, strict=True) if k < 0 and how != "map")
    free = tuple(name for k, name in enumerate(classes) if k not in set(number.tolist()))
    return Matching(tuple(labels), classes, number, tuple(how for _, how in found), _resembling(left, free))


def match_labels(
    labels: Sequence[str], classes: Vocabulary | Sequence[str], mapping: MappingLike | None = None
) -> NDArray[np.int64]:
    """For each of a data set's class names, the index of the model's class it fits, else -1 (int64); see `match`.

    >>> match_labels(["Dog", "fox"], ["pets/cat", "pets/dog"]).tolist()
    [1, -1]
    """
    return match(labels, classes, mapping).number


class _Finder:
    """Tables from what labels may say to the classes of one vocabulary."""

    def __init__(self, known: Vocabulary, labels: Sequence[str]) -> None:
        self.known = known
        own = [(name, k) for k, name in enumerate(known.classes)]
        inner = [(m, known.classes.index(name)) for name, members in known.members.items() for m in members]
        self.own = [_table(own, keys) for keys in (_names, _plain_names, synonyms)]
        self.inner = [_table(inner, keys) for keys in (_names, _plain_names, synonyms)]
        largest = max((int(label) for label in labels if re.fullmatch(_NUMBER, label)), default=0)
        self.numbers = known.numbers if largest < known.total else {}
        self.named_by_numbers = any(re.fullmatch(r"\d+", name) for name in known.classes)

    def find(self, label: str) -> tuple[int, str]:
        """Return the class a label fits, -1 for none, and by what."""
        for tables, prefix in ((self.own, ""), (self.inner, "member's ")):
            for table, key, how in zip(tables, (label, plain(label)), ("name", "spelling"), strict=False):
                if key in table:
                    return self._one(label, table[key]), prefix + how
            parts = [plain(part) for part in label.split(",")]
            if is_synset(label):
                return self._synset(label)
            fits = sorted({k for part in parts for k in tables[2].get(part, [])})
            if fits:
                return self._one(label, fits), prefix + "synonym"
        if re.fullmatch(_NUMBER, label) and not self.named_by_numbers and int(label) in self.numbers:
            return self.numbers[int(label)], "index"
        return -1, ""

    def _one(self, label: str, fits: Sequence[int]) -> int:
        if len(fits) > 1:
            named = " and ".join(f"{k} ({self.known.classes[k]})" for k in fits[:3])
            raise TwoClassesError(f"the label {label!r} fits the model's classes {named}: map it to one of them")
        return fits[0]

    def _synset(self, label: str) -> tuple[int, str]:
        """Libraries give two classes one name (crane), or rename one: the number decides where it is ImageNet's."""
        if label not in imagenet():
            return -1, ""
        if self._is_imagenet:
            return self.known.numbers.get(list(imagenet()).index(label), -1), "synset"
        parts = synonyms(label)
        fits = sorted({k for tables in (self.own, self.inner) for p in parts for k in tables[2].get(p, [])})
        return (self._one(label, fits), "synset") if fits else (-1, "")

    @functools.cached_property
    def _is_imagenet(self) -> bool:
        """Whether the classes' numbers are those of ImageNet's thousand."""
        wanted, numbers = list(imagenet().values()), self.known.numbers
        if not numbers or max(numbers) >= len(wanted):
            return False
        if len(numbers) == len(wanted) and self.named_by_numbers:
            return all(self.known.classes[k] == str(n) for n, k in numbers.items())
        names = [[c, *self.known.members.get(c, ())] for c in self.known.classes]
        same = [
            not synonyms(wanted[n]).isdisjoint(set().union(*(synonyms(name) for name in names[k])))
            for n, k in numbers.items()
        ]
        return sum(same) >= AGREEING * len(same)


@functools.lru_cache(maxsize=32)
def _resembling(labels: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    found = {label: tuple(name for name in classes if alike(label, name)) for label in labels}
    return {label: names for label, names in found.items() if names}


def read_mapping(mapping: MappingLike | None) -> dict[str, str | int]:
    """Return label -> class as it is given, or from a file: a JSON object, or a line `label=class` for each.

    >>> read_mapping({"crane": 134})
    {'crane': 134}
    """
    if mapping is None or isinstance(mapping, Mapping):
        return dict(mapping or {})
    path = Path(mapping).expanduser()
    if not path.is_file():
        raise DataError(f"there is no file {path} that maps labels to classes")
    text = path.read_text(encoding="utf-8")
    if not text.lstrip().startswith("{"):
        lines = (line.strip() for line in text.splitlines())
        return parse_mapping([line for line in lines if line and not line.startswith("#")])
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} is not a JSON object of labels and classes: {error}") from error
    if not all(isinstance(target, str | int) for target in found.values()):
        raise DataError(f"{path} maps a label to what is not the name or index of a class")
    return {str(label): target for label, target in found.items()}


def parse_mapping(pairs: Sequence[str]) -> dict[str, str | int]:
    """Turn `["crane=134", "Dog=pets/dog"]` into a mapping for `match`; raises `DataError` without `=`.

    >>> parse_mapping(["crane=134"])
    {'crane': '134'}
    """
    for pair in pairs:
        if "=" not in pair:
            raise DataError(f"{pair!r} is not a mapping: write label=class")
    return {label.strip(): target.strip() for label, _, target in (p.rpartition("=") for p in pairs)}


def few(texts: Sequence[str], between: str = ", ") -> str:
    """Put texts side by side; of more than a dozen the first, and how many there are beside.

    >>> few(["cat", "dog"])
    'cat, dog'
    """
    return between.join(texts) if len(texts) < 13 else f"{between.join(texts[:12])}{between}and {len(texts) - 12} more"


def _names(name: str) -> set[str]:
    return {name, tail(name)}


def _plain_names(name: str) -> set[str]:
    return {plain(name), plain(tail(name))}


def _table(entries: Sequence[tuple[str, int]], keys: Callable[[str], set[str]]) -> dict[str, list[int]]:
    table: dict[str, list[int]] = {}
    for name, k in entries:
        for key in keys(name):
            if k not in table.setdefault(key, []):
                table[key].append(k)
    return table

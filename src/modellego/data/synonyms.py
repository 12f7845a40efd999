"""What class names have in common: spelling, synonyms, and the names that belong to ImageNet's synset ids."""

import difflib
import functools
import re
from collections.abc import Mapping
from importlib.resources import files

ALIKE = 0.8  # of difflib's ratio: "catt" and "cat" are 0.86, "maple tree" and "palm tree" 0.74


def plain(name: str) -> str:
    """A name without case, and with spaces, hyphens and underscores alike.

    >>> plain("Red_Panda ")
    'red panda'
    """
    return re.sub(r"[\s_-]+", " ", name.strip()).casefold().replace(", ", ",")


def tail(name: str) -> str:
    """A name without the prefix that keeps equal names of two bricks apart.

    >>> tail("pets/cat")
    'cat'
    """
    return re.split(r"[/:]", name)[-1]


def is_synset(name: str) -> bool:
    """Whether a name is a synset id, such as n02123045.

    >>> is_synset("n02123045"), is_synset("cat")
    (True, False)
    """
    return re.fullmatch(r"n\d{8}", name) is not None


@functools.cache
def imagenet() -> Mapping[str, str]:
    """The names of ImageNet's thousand classes (WordNet's, with commas) by synset id, in the order of their numbers.

    >>> imagenet()["n02123045"], list(imagenet()).index("n02123045")
    ('tabby, tabby cat', 281)
    """
    lines = (files("modellego.data") / "imagenet.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def synonyms(name: str) -> set[str]:
    """The synonyms in a class name, split at commas and spelt alike; a synset id has those of its class.

    >>> sorted(synonyms("pets/Tabby, tabby_cat"))
    ['tabby', 'tabby cat']
    """
    found = {plain(part) for part in tail(name).split(",")}
    return found | (synonyms(imagenet()[name]) if name in imagenet() else set())


def alike(label: str, name: str) -> bool:
    """Whether a label may mean a class: the words of one stand in the other, or they differ in few letters.

    Numbers in them must be the same: class 1 is not class 2.

    >>> alike("cat", "tabby, tabby cat"), alike("catt", "cat"), alike("class 1", "class 11"), alike("12", "1")
    (True, True, False, False)
    """
    one = plain(label)
    if not re.search(r"[^\W\d]{3}", one):
        return False
    return any(_close(one, other) for other in synonyms(name) if re.search(r"[^\W\d]{3}", other))


def _close(one: str, other: str) -> bool:
    if re.findall(r"\d+", one) != re.findall(r"\d+", other):
        return False
    if f" {one} " in f" {other} " or f" {other} " in f" {one} ":
        return True
    matcher = difflib.SequenceMatcher(None, one, other)
    return matcher.real_quick_ratio() > ALIKE and matcher.quick_ratio() > ALIKE and matcher.ratio() > ALIKE

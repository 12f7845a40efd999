"""Names in an assembled model: of its bricks, and of its classes, equal ones kept apart by a prefix or merged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from modellego.brick import Assembled, Brick
from modellego.data import Vocabulary
from modellego.errors import AssemblyError

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class JoinedClasses:
    """Class names of bricks put together.

    `own[k]` names brick k's logits, `classes` the assembled model's; `groups` holds for each class the columns of the
    concatenated logits that mean it, or is None where each column is a class.
    """

    own: tuple[tuple[str, ...], ...]
    classes: tuple[str, ...]
    groups: Groups | None


def brick_names(bricks: Sequence[Brick | Assembled]) -> tuple[str, ...]:
    """Call each brick by its directory, else by its one source, else `brick`; equal names are numbered.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    >>> brick_names([whole_brick(net, Preprocess(1, 8, 8), name=n) for n in ("vehicles", "signs", "signs")])
    ('vehicles', 'signs', 'signs2')
    """
    names: list[str] = []
    for brick in bricks:
        sources = brick.info.sources
        names.append(free_name(brick.name or (sources[0].name if len(sources) == 1 else "brick"), names))
    return tuple(names)


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """Return a name that is not taken: the wanted one, or that with the least number behind it.

    >>> free_name("signs", ["signs", "signs2"])
    'signs3'
    """
    numbered = (f"{wanted}{number}" for number in count(2))
    return wanted if wanted not in taken else next(name for name in numbered if name not in taken)


def join_classes(own: Sequence[Sequence[str]], names: Sequence[str], merge: bool = False) -> JoinedClasses:
    """Join the class names of bricks; a name that two bricks bear gets the brick's name and a slash in front.

    With `merge` such a class becomes one, in the place of the first. Raises `AssemblyError` where the brick names
    are not one per brick and distinct, or leave two classes with one name.

    >>> join_classes([["cat", "dog"], ["dog", "fox"]], ["pets", "wild"]).classes
    ('cat', 'pets/dog', 'wild/dog', 'fox')
    >>> join_classes([["cat", "dog"], ["dog", "fox"]], ["pets", "wild"], merge=True).groups
    ((0,), (1, 2), (3,))
    """
    if len(names) != len(own) or len(set(names)) != len(names) or not all(names):
        raise AssemblyError(f"names must hold a different name for each of the {len(own)} bricks, not {list(names)}")
    counts = Counter(c for classes in own for c in classes)
    if merge:
        columns: dict[str, list[int]] = {}
        for i, c in enumerate(c for classes in own for c in classes):
            columns.setdefault(c, []).append(i)
        groups = tuple(tuple(g) for g in columns.values())
        same = all(len(g) == 1 for g in groups)
        return JoinedClasses(tuple(map(tuple, own)), tuple(columns), None if same else groups)
    renamed = tuple(
        tuple(f"{name}/{c}" if counts[c] > 1 else c for c in classes) for name, classes in zip(names, own, strict=True)
    )
    classes = tuple(c for part in renamed for c in part)
    twice = [c for c, n in Counter(classes).items() if n > 1]
    if twice:
        raise AssemblyError(f"two classes would be called {twice[0]!r}: give the bricks other names (names=[...])")
    return JoinedClasses(renamed, classes, None)


def vocabularies(
    bricks: Sequence[Brick | Assembled], classes: JoinedClasses
) -> tuple[tuple[Vocabulary, ...], Vocabulary]:
    """Return what labels may call each brick's classes, and what those of all together: classes made of others too."""
    own = []
    for brick, names in zip(bricks, classes.own, strict=True):
        inner = brick.vocabulary.members
        own.append(Vocabulary(names, {n: inner[c] for n, c in zip(names, brick.classes, strict=True) if c in inner}))
    together: dict[str, tuple[str, ...]] = {}
    for words in own:
        for name, members in words.members.items():
            together[name] = tuple(dict.fromkeys((*together.get(name, ()), *members)))
    return tuple(own), Vocabulary(classes.classes, {n: m for n, m in together.items() if n in classes.classes})

"""The class names of an assembled model: equal ones kept apart by a prefix, or merged to one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

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


def default_names(count: int) -> tuple[str, ...]:
    """Name bricks a, b, c, ...

    >>> default_names(3)
    ('a', 'b', 'c')
    """
    return tuple("abcdefghijklmnopqrstuvwxyz"[i] if i < 26 else f"brick{i + 1}" for i in range(count))


def join_classes(own: Sequence[Sequence[str]], names: Sequence[str], merge: bool = False) -> JoinedClasses:
    """Join the class names of bricks; a name that two bricks bear gets the brick's name and a slash in front.

    With `merge` such a class becomes one, in the place of the first. Raises `AssemblyError` where the brick names
    are not one per brick and distinct, or leave two classes with one name.

    >>> join_classes([["cat", "dog"], ["dog", "fox"]], ["a", "b"]).classes
    ('cat', 'a/dog', 'b/dog', 'fox')
    >>> join_classes([["cat", "dog"], ["dog", "fox"]], ["a", "b"], merge=True).groups
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

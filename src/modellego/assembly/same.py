"""Whether bricks to be joined are one and the same: most often a slip."""

from collections.abc import Sequence
from itertools import combinations

import torch

from modellego.brick import AnyBrick, Brick
from modellego.errors import AssemblyError


def check_distinct(bricks: Sequence[AnyBrick], names: Sequence[str]) -> None:
    """Ask whether joining a brick with itself is meant, also where it is a part of an assembled one.

    Raises:
        AssemblyError: a brick is there twice, under whatever names.
    """
    for (one, first), (other, second) in combinations(zip(bricks, names, strict=True), 2):
        if any(same(a, b) for a in _leaves(one) for b in _leaves(other)):
            inside = "" if isinstance(one, Brick) and isinstance(other, Brick) else " in parts"
            raise AssemblyError(
                f"{first} and {second} are the same brick{inside}: is that meant? Joined with itself a brick only "
                f"divides its classes in two; if it is meant, allow the same brick (allow_same)"
            )


def same(one: Brick, other: Brick) -> bool:
    """Say whether two bricks have the same classes, graph and numbers.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> brick = whole_brick(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)), Preprocess(1, 8, 8))
    >>> same(brick, brick)
    True
    """
    if one is other:
        return True
    mine, theirs = one.state_dict(), other.state_dict()
    return (
        one.classes == other.classes
        and one.info.preprocess == other.info.preprocess
        and mine.keys() == theirs.keys()
        and one.network.code == other.network.code
        and all(torch.equal(mine[key], theirs[key]) for key in mine)
    )


def _leaves(piece: AnyBrick) -> list[Brick]:
    return [part for part in piece.modules() if isinstance(part, Brick)]

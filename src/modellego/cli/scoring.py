"""Models put together: what the labels of the data mean to them, before work, and their scores, after it."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from modellego.cli.console import progress

if TYPE_CHECKING:
    from modellego.brick import AnyBrick
    from modellego.data import Data
    from modellego.evaluation import Evaluation


def say_joined_labels(
    bricks: "Sequence[AnyBrick]",
    names: Sequence[str],
    merge: bool,
    data: "Data | None",
    mapping: "Mapping[str, str | int]",
) -> None:
    """Say which classes of bricks that are to be put together the data's labels mean, as `say_labels` does.

    Where bricks know the same class and it stays two, labels tell each brick's own classes, but not them together: the
    command says at its end that it did not score.
    """
    from modellego.assembly.class_names import join_classes, vocabularies
    from modellego.cli.opening import say_labels
    from modellego.data import TwoClassesError

    if data is not None:
        classes = join_classes([brick.classes for brick in bricks], names, merge)
        with contextlib.suppress(TwoClassesError):
            say_labels(data, vocabularies(bricks, classes)[1], mapping)


def scored(
    made: "AnyBrick", data: "Data | None", mapping: "Mapping[str, str | int]"
) -> "tuple[Evaluation | None, str]":
    """Return what `assembly.scoring.scored` does, with a progress bar."""
    from modellego.assembly.scoring import scored as keep_scores

    return keep_scores(made, data, mapping, progress)


def spent(piece: "AnyBrick") -> dict[str, int]:
    """Return a model's MACs and parameters."""
    from modellego.evaluation import cost

    found = cost(piece)
    return {"macs": found.macs, "parameters": found.parameters}

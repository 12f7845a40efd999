"""Score a model that was just put together on test images, where there are any, and say what their labels mean."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modellego.cli.console import progress

if TYPE_CHECKING:
    from modellego.brick import AnyBrick
    from modellego.data import Data
    from modellego.evaluation import Evaluation


def scored(
    made: "AnyBrick", data: "Data | None", mapping: "Mapping[str, str | int]"
) -> "tuple[Evaluation | None, str]":
    """Return what `assembly.scoring.scored` does; on the way the labels are said."""
    from modellego.assembly.scoring import scored as keep_scores
    from modellego.cli.opening import say_labels

    found, unscored = keep_scores(made, data, mapping, progress)
    if found is not None and data is not None:
        say_labels(data, made.vocabulary, mapping)
    return found, unscored


def spent(piece: "AnyBrick") -> dict[str, int]:
    """Return a model's MACs and parameters."""
    from modellego.evaluation import cost

    found = cost(piece)
    return {"macs": found.macs, "parameters": found.parameters}

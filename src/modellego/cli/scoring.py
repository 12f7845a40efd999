"""Score a model that was just put together on test images, where there are any, and keep the scores in it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modellego.cli.console import progress

if TYPE_CHECKING:
    from modellego.brick import Assembled, Brick
    from modellego.data import Data
    from modellego.evaluation import Evaluation


def scored(
    made: "Brick | Assembled", data: "Data | None", mapping: Mapping[str, str | int]
) -> "tuple[Evaluation | None, str]":
    """Return the evaluation on the test part of the data, or None and why there is none (empty without test images)."""
    from modellego.cli.opening import say_labels
    from modellego.errors import DataError
    from modellego.evaluation import evaluate

    if data is None or data.test is None:
        return None, ""
    try:
        say_labels(data, made.vocabulary, mapping)
    except DataError as error:  # equal names kept apart: the images cannot tell whose class they show
        return None, f"Not scored: {error}."
    found = evaluate(made, data.test, mapping=mapping, progress=progress)
    measured = {"accuracy": found.scores.accuracy, "balanced_accuracy": found.scores.balanced_accuracy}
    made.info = made.info.changed(scores=made.info.scores | measured)
    return found, ""


def spent(piece: "Brick | Assembled") -> dict[str, int]:
    """Return a model's MACs and parameters."""
    from modellego.evaluation import cost

    found = cost(piece)
    return {"macs": found.macs, "parameters": found.parameters}

"""Score a model that was just put together on test images, where there are any, and keep the scores in it."""

from modellego.brick import AnyBrick
from modellego.data import Data, MappingLike, match
from modellego.errors import DataError
from modellego.evaluation import Evaluation, evaluate
from modellego.progress import Progress, silent


def scored(
    made: AnyBrick, data: Data | None, mapping: MappingLike, progress: Progress = silent
) -> tuple[Evaluation | None, str]:
    """Return the evaluation on the test part of the data, or None and why there is none (empty without test images)."""
    if data is None or data.test is None:
        return None, ""
    try:
        match(data.classes, made.vocabulary, mapping).check(None)
    except DataError as error:  # equal names kept apart: the images cannot tell whose class they show
        return None, f"Not scored: {error}."
    found = evaluate(made, data.test, mapping=mapping, progress=progress)
    measured = {"accuracy": found.scores.accuracy, "balanced_accuracy": found.scores.balanced_accuracy}
    made.info = made.info.changed(scores=made.info.scores | measured)
    return found, ""

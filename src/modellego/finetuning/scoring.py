"""What a training run changed, on test images: the one time they are read."""

from collections.abc import Mapping

from modellego.brick import Assembled, Brick
from modellego.data import Data
from modellego.evaluation import logits_of, score


def rescored(
    before: Brick | Assembled | None,
    after: Brick | Assembled,
    data: Data,
    mapping: Mapping[str, str | int] | None = None,
) -> tuple[float | None, float | None]:
    """Return the test accuracy before and after training, and write the latter into the trained model.

    None where there are no test images, or no model before.
    """
    if data.test is None or not len(data.test):
        return None, None
    images = data.test.for_model(after.classes, mapping)
    first = None if before is None else score(logits_of(before, images), images.labels).accuracy
    scores = score(logits_of(after, images), images.labels)
    found = {"brick_accuracy": scores.accuracy, "brick_balanced_accuracy": scores.balanced_accuracy}
    after.info = after.info.changed(scores=after.info.scores | found)
    return first, scores.accuracy

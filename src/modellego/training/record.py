"""What a trained model says of itself: what was done, what no longer holds, and its scores on test images."""

from modellego.brick import Assembled, Brick
from modellego.data import Data, MappingLike
from modellego.evaluation import logits_of, score


def note_training(model: Brick | Assembled, note: str) -> None:
    """Write into a trained model what was done, and take out what no longer holds: its scores and its reject rule."""
    stale = {k: (v if k.startswith("base") or "accuracy" not in k else None) for k, v in model.info.scores.items()}
    notes = f"{model.info.notes} {note}".strip()
    if model.info.reject is not None:
        notes += " Its reject rule was dropped: it held for the logits before."
    model.info = model.info.changed(notes=notes, scores=stale, reject=None)


def rescored(
    before: Brick | Assembled | None,
    after: Brick | Assembled,
    data: Data,
    mapping: MappingLike | None = None,
) -> tuple[float | None, float | None]:
    """Return the test accuracy before and after training, and write the latter into the trained model.

    None where there are no test images, or no model before.
    """
    if data.test is None or not len(data.test):
        return None, None
    images = data.test.for_model(after.vocabulary, mapping)
    first = None if before is None else score(logits_of(before, images), images.labels).accuracy
    scores = score(logits_of(after, images), images.labels)
    found = {"brick_accuracy": scores.accuracy, "brick_balanced_accuracy": scores.balanced_accuracy}
    after.info = after.info.changed(scores=after.info.scores | found)
    return first, scores.accuracy

"""What bricks were saved with."""

from collections.abc import Sequence

from modellego.brick import Assembled, Brick


def saved_with(models: Sequence[Brick | Assembled], key: str) -> float | None:
    """Return the mean over all classes of a score that every brick inside was saved with; None where one lacks it.

    >>> from torch import nn
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.whole import whole_brick
    >>> brick = whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), Preprocess(1, 8, 8), ["a", "b"])
    >>> brick.info = brick.info.changed(scores={"base_accuracy": 0.5})
    >>> saved_with([brick], "base_accuracy"), saved_with([brick], "accuracy")
    (0.5, None)
    """
    bricks = [part for model in models for part in model.modules() if isinstance(part, Brick)]
    known = [(len(brick.classes), brick.info.scores.get(key)) for brick in bricks]
    if not known or any(value is None for _, value in known):
        return None
    return sum(count * (value or 0.0) for count, value in known) / sum(count for count, _ in known)

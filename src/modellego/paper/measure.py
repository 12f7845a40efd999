"""Scores on a source's test part, the source's own logits worked out once for all tasks."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from modellego.brick import Brick
from modellego.data import Data, ImageSet
from modellego.evaluate import cost, logits_of, restricted, score
from modellego.progress import Stages, silent

Row = dict[str, Any]


class Scorer:
    """A source, whole, and its data by its own classes: what it scores on a task, and what a brick of it does."""

    def __init__(self, whole: Brick, data: Data, stages: Stages = silent) -> None:
        assert data.test is not None
        self.whole, self.data, self.stages = whole, data, stages
        self.test: ImageSet = data.test

    @cached_property
    def logits(self) -> Tensor:
        """Return the source's logits of its whole test part, `[N, C]`."""
        with self.stages("base", "images") as update:
            return logits_of(self.whole, self.test, progress=update)

    def base(self, task: Sequence[int]) -> Row:
        """Return the source's accuracy on a task's test images, with all its logits and with the task's."""
        (places,) = np.nonzero(np.isin(self.test.labels, task))
        base, inside = restricted(self.logits[places], list(task), self.test.select(task).labels)
        spent = cost(self.whole)
        return {
            "images": len(places),
            "base": base,
            "restricted": inside,
            "macs_base": spent.macs,
            "parameters_base": spent.parameters,
        }

    def brick(self, brick: Brick, task: Sequence[int]) -> Row:
        """Return a brick's accuracy on its task's test images, and what it costs."""
        with self.stages("score", "images") as update:
            found = score(logits_of(brick, on := self.test.select(task), progress=update), on.labels)
        return {"accuracy": found.accuracy, **size(brick)}


def size(brick: Brick) -> Row:
    """Return what a brick costs, and how much of its source was kept."""
    spent = cost(brick)
    kept = {} if brick.info.cut is None else {"kept_sets": brick.info.cut.kept, "sets": brick.info.cut.total}
    return {"macs": spent.macs, "parameters": spent.parameters, **kept}

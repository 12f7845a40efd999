"""What a report shows, as plain values: anything left out (None or empty) has no section on the page."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modellego.decision_routes import RouteGraph
from modellego.errors import LegoError

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Lineage:
    """One model in the family tree, and the models it was made from."""

    name: str
    kind: Literal["source", "brick", "assembled"]
    classes: int
    parameters: int | None = None
    macs: int | None = None
    detail: str = ""
    made_from: tuple["Lineage", ...] = ()


@dataclass(frozen=True)
class ModelSize:
    """How large one model is: parameters, MACs of one image, bytes on disk, milliseconds for one image."""

    name: str
    parameters: int | None = None
    macs: int | None = None
    bytes: int | None = None
    latency_ms: float | None = None


@dataclass(frozen=True)
class Score:
    """One row of the accuracy table, shares in 0..1: plain and class-balanced accuracy, and what the row means."""

    name: str
    accuracy: float | None
    balanced: float | None = None
    note: str = ""


@dataclass(frozen=True)
class OffTaskConfidence:
    """How the model answers images outside its classes.

    `inside` and `outside` are float arrays of a confidence for images of the task and of other classes: in 0..1, or of
    any scale, such as energies; `auroc` tells how well it separates the two (0.5: not at all). Images below `threshold`
    are turned away.
    """

    inside: Floats
    outside: Floats
    auroc: float
    statistic: str = "largest softmax"
    threshold: float | None = None
    description: str = ""


@dataclass(frozen=True)
class Example:
    """A photo and what the model says of it.

    `picture` is a `data:` address; `truth` the class it belongs to; `answer` the model's with its `probability`, None
    where it was turned away. `own` tells images of the model's classes from others.
    """

    picture: str
    truth: str
    answer: str | None
    probability: float | None
    own: bool = True


@dataclass(frozen=True)
class Width:
    """Channels of one layer before and after the cut; `group` names the brick where there are several."""

    name: str
    before: int
    after: int
    group: str = ""


@dataclass(frozen=True)
class ReportData:
    """All that a report shows; `confusion` is int `[classes, classes]`, rows the true class, columns the answer.

    `groups` names where each class comes from (which brick), one entry per class; `restricted_per_class` is the
    uncut source's accuracy per class with its logits limited to the task, float `[classes]`; `rejects` says whether the
    model may say "none of these".
    """

    title: str
    summary: str
    classes: tuple[str, ...]
    lineage: Lineage
    sizes: tuple[ModelSize, ...] = ()
    scores: tuple[Score, ...] = ()
    confusion: NDArray[np.integer] | None = None
    restricted_per_class: Floats | None = None
    groups: tuple[str, ...] = ()
    off_task: OffTaskConfidence | None = None
    routes: tuple[RouteGraph, ...] = ()
    widths: tuple[Width, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    rejects: bool = False

    def __post_init__(self) -> None:
        count = len(self.classes)
        if not count:
            raise LegoError("a report needs a model with at least one class")
        if self.confusion is not None and self.confusion.shape != (count, count):
            shape = list(self.confusion.shape)
            raise LegoError(f"the confusion matrix has shape {shape}, but there are {count} classes")
        for name in ("groups", "restricted_per_class"):
            value = getattr(self, name)
            if value is not None and len(value) not in ({0, count} if name == "groups" else {count}):
                raise LegoError(f"{name} has {len(value)} entries, but there are {count} classes")

    @property
    def per_class(self) -> Floats | None:
        """Accuracy of each class, float64 `[classes]`, nan for a class without images; from the confusion."""
        if self.confusion is None:
            return None
        total = self.confusion.sum(axis=1)
        right = np.diag(self.confusion)
        return np.where(total > 0, right / np.maximum(total, 1), np.nan)

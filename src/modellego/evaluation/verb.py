"""Score a brick or an assembled model beside its source: accuracy, cost, latency, and what it does off its task."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modellego.brick import Assembled, Brick
from modellego.brick.costs import cost
from modellego.brick.reject_rule import confidence
from modellego.capture.cost import Cost
from modellego.data import DataLike, ImageSet, MappingLike, load_data, match_labels
from modellego.distributed import rank
from modellego.drawing.cells import html_table
from modellego.drawing.words import count, milliseconds, share
from modellego.errors import DataError
from modellego.evaluation.prediction import logits_of
from modellego.evaluation.scores import Scores, auroc, largest_probability, restricted, score
from modellego.evaluation.timing import Latency, latency
from modellego.progress import Progress, silent

MANY = 20  # classes that a notebook lists one by one


@dataclass(frozen=True)
class OffTask:
    """How a model answers images of classes it does not have; `classes` are the labels of the data that it counted so.

    `auroc` tells on-task from off-task images by the largest probability; `auroc_reject` by the statistic of the
    model's own reject rule, `rejected_on`/`rejected_off` the shares that rule turns away (None without a rule).
    """

    images: int
    auroc: float | None
    auroc_reject: float | None = None
    rejected_on: float | None = None
    rejected_off: float | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rejection:
    """What a model's reject rule does on its task; fractions of the images of its own classes.

    `rejected` is the share turned away, `accuracy` what is answered and right, `accuracy_answered` what is right of
    all that is answered (None where nothing is).
    """

    statistic: str
    threshold: float
    rejected: float
    accuracy: float
    accuracy_answered: float | None


@dataclass(frozen=True, repr=False)
class Evaluation:
    """All that `evaluate` measured; fractions, not per cent. `base` and `base_restricted` are the sources' own."""

    classes: tuple[str, ...]
    scores: Scores
    cost: Cost
    base: float | None = None
    base_restricted: float | None = None
    reject: Rejection | None = None
    off_task: OffTask | None = None
    latency: Latency | None = None

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self._told())
        return f"<Evaluation of {len(self.classes)} classes: {told}>"

    def _repr_html_(self) -> str:
        right = zip(self.classes, self.scores.per_class, strict=True)
        rows = [*self._told(), *((f"right: {name}", f"{share(float(v))} %") for name, v in [*right][:MANY])]
        left_out = len(self.classes) - MANY
        return html_table("Evaluation", rows, below=f"and {left_out} more classes" if left_out > 0 else "")

    def _told(self) -> list[tuple[str, str]]:
        """Return what was measured, as people read it."""
        measured = {
            "accuracy": self.scores.accuracy,
            "balanced accuracy": self.scores.balanced_accuracy,
            "base": self.base,
            "base restricted": self.base_restricted,
        }
        told = [("images", f"{self.scores.images:,}")]
        told += [(name, f"{share(value)} %") for name, value in measured.items() if value is not None]
        told += [("MACs", count(self.cost.macs)), ("parameters", count(self.cost.parameters))]
        if self.latency is not None:
            told.append((f"latency of {self.latency.batch}", milliseconds(1000 * self.latency.median)))
        if self.reject is not None:
            told.append(("turned away", f"{share(self.reject.rejected)} %"))
        return told

    def as_json(self) -> dict[str, Any]:
        """Return plain values under the names the command line prints."""
        per_class = [None if np.isnan(v) else float(v) for v in self.scores.per_class]
        found: dict[str, Any] = {
            "classes": list(self.classes),
            "images": self.scores.images,
            "accuracy": self.scores.accuracy,
            "balanced_accuracy": self.scores.balanced_accuracy,
            "base_accuracy": self.base,
            "base_restricted_accuracy": self.base_restricted,
            "per_class": dict(zip(self.classes, per_class, strict=True)),
            "confusion": self.scores.confusion.tolist(),
            "macs": self.cost.macs,
            "not_counted": list(self.cost.not_counted),
            "parameters": self.cost.parameters,
            "bytes": self.cost.bytes,
        }
        found["reject"] = None if self.reject is None else vars(self.reject)
        found["off_task"] = None if self.off_task is None else vars(self.off_task)
        found["latency"] = None if self.latency is None else vars(self.latency)
        return found


def evaluate(
    model: Brick | Assembled,
    data: DataLike,
    *,
    source: Brick | None = None,
    mapping: MappingLike | None = None,
    latency_batch: int | None = None,
    latency_runs: int = 10,
    progress: Progress = silent,
) -> Evaluation:
    """Score a model on labelled images; images of classes it does not have show how it behaves off its task.

    Args:
        model: a brick or an assembled model.
        data: an image set, `Data` (its test split, or train where there is none) or what names data.
        source: the whole source model, for base and base restricted; else those saved in the model, if any.
        mapping: data class name -> model class name or index, where names do not meet by themselves.
        latency_batch: time forward passes of this many images, in the first of several processes; not by default.
        latency_runs: over how many passes.
        progress: follows the images.

    Raises:
        DataError: no class of the data is a class of the model.
    """
    images = scoring_images(data)
    on_task = images.for_model(model.vocabulary, mapping)
    with progress("evaluate", "images") as update:
        logits = logits_of(model, on_task, update=update)
    base, base_restricted = (saved_score(model, f"{key}_accuracy") for key in ("base", "base_restricted"))
    if source is not None:
        task = match_labels(model.classes, source.classes)
        if (task < 0).any():
            missing = model.classes[int(np.flatnonzero(task < 0)[0])]
            raise DataError(f"the source model has no class {missing!r}: give the model this brick was cut from")
        base, base_restricted = restricted(logits_of(source, on_task), task.tolist(), on_task.labels)
    timed = None
    if latency_batch and rank() == 0:
        timed = latency(model, on_task.images([0]).expand(latency_batch, -1, -1, -1).contiguous(), latency_runs)
    return Evaluation(
        classes=model.classes,
        scores=score(logits, on_task.labels),
        cost=cost(model),
        base=base,
        base_restricted=base_restricted,
        reject=rejection(model, logits, on_task.labels),
        off_task=off_task(model, images, logits, mapping),
        latency=timed,
    )


def saved_score(model: Brick | Assembled, key: str) -> float | None:
    """Return a score saved in a model; an assembled one has the mean over the classes of its bricks."""
    own = model.info.scores.get(key)
    if own is not None or isinstance(model, Brick):
        return own
    parts = [b for b in model.bricks if isinstance(b, Brick | Assembled)]
    found = [saved_score(part, key) for part in parts]
    if not found or any(score is None for score in found):
        return None
    return float(np.average([s for s in found if s is not None], weights=[len(p.classes) for p in parts]))


def scoring_images(data: DataLike) -> ImageSet:
    """Return the images to score on: a data set's test split where it has one."""
    found = load_data(data)
    return found.test if found.test is not None else found.train


def rejection(model: Brick | Assembled, logits: torch.Tensor, labels: NDArray[np.int64]) -> Rejection | None:
    """Say what a model's reject rule makes of on-task logits `[N, C]` with labels int64 `[N]`; None without a rule."""
    rule = model.info.reject
    if rule is None:
        return None
    rejected = model.predict_reject(logits).cpu().numpy()
    right = (logits.argmax(1).cpu().numpy() == labels) & ~rejected
    answered = None if rejected.all() else float(right.sum() / (~rejected).sum())
    return Rejection(rule.statistic, rule.threshold, float(rejected.mean()), float(right.mean()), answered)


def off_task_images(model: Brick | Assembled, images: ImageSet, mapping: MappingLike | None = None) -> ImageSet:
    """Return the images of classes a model does not have, labelled as they are; there may be none."""
    number = match_labels(images.classes, model.vocabulary, mapping)
    return images.subset(np.flatnonzero(number[images.labels] < 0))


def off_task(
    model: Brick | Assembled, images: ImageSet, on_logits: torch.Tensor, mapping: MappingLike | None = None
) -> OffTask | None:
    """Compare a model's confidence on its task with that on images of other classes; None where there are none."""
    others = off_task_images(model, images, mapping)
    if not len(others):
        return None
    logits = logits_of(model, others)
    found = auroc(largest_probability(on_logits), largest_probability(logits))
    names = tuple(name for name, count in zip(others.classes, others.counts, strict=True) if count)
    rule = model.info.reject
    if rule is None:
        return OffTask(len(others), found, classes=names)
    on, off = (confidence(x.double(), rule.statistic).cpu().numpy() for x in (on_logits, logits))
    turned_on, turned_off = (float(model.predict_reject(x).double().mean()) for x in (on_logits, logits))
    return OffTask(len(others), found, auroc(on, off), turned_on, turned_off, names)

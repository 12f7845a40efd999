"""The verb `distill`: a teacher's softened probabilities, beside the labels, train a student."""

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import Data, DataLike, MappingLike, match_labels
from modellego.errors import DataError, LegoError
from modellego.evaluation import logits_of, score
from modellego.preprocess import Framed
from modellego.progress import Progress, silent
from modellego.training import Epoch, Settings, Trained, train_on_images
from modellego.training.loop import OnEpoch, device_of
from modellego.training.record import note_training


@dataclass(frozen=True)
class Distillation:
    """How a teacher is heard: logits divided by `temperature`, its loss weighted by `share`, the labels' by the rest.

    `share` 0 is training without a teacher, 1 without labels' loss.

    >>> Distillation().temperature
    4.0
    """

    temperature: float = 4.0
    share: float = 0.9

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise LegoError(f"the temperature must be positive, not {self.temperature}")
        if not 0 <= self.share <= 1:
            raise LegoError(f"the teacher's share of the loss lies in 0..1, not {self.share}")


@dataclass(frozen=True)
class DistillResult:
    """A trained student and how it came about; see `Trained` for `trained`."""

    student: Brick | Assembled
    trained: Trained
    how: Distillation
    teacher_classes: tuple[str, ...]

    @property
    def curve(self) -> tuple[Epoch, ...]:
        """The student's curve on held-out images."""
        return self.trained.curve

    def as_json(self) -> dict[str, Any]:
        """Return plain values: curve, settings, counts, temperature and share."""
        return {**self.trained.as_json(), "distillation": asdict(self.how)}


def distillation_loss(student: Tensor, teacher: Tensor, labels: Tensor, how: Distillation) -> Tensor:
    """Return `share T^2 KL(p_T || q_T) + (1 - share) CE(q, y)`, the mean over a batch.

    `student` and `teacher` are logits `[B, C]`, `labels` int64 `[B]`; `p_T`, `q_T` the softmax of the teacher's and the
    student's logits over T. Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network".

    >>> z = torch.tensor([[2.0, 0.0]])
    >>> distillation_loss(z, z, torch.tensor([0]), Distillation(share=1.0))
    tensor(0.)
    """
    t = how.temperature
    hard = F.cross_entropy(student, labels)
    if how.share == 0:
        return hard
    soft = F.kl_div(
        F.log_softmax(student / t, 1), F.log_softmax(teacher / t, 1), reduction="batchmean", log_target=True
    )
    return how.share * t * t * soft + (1 - how.share) * hard


def distill(
    teacher: Brick | Assembled,
    student: Brick | Assembled,
    data: DataLike,
    *,
    how: Distillation | None = None,
    settings: Settings | None = None,
    mapping: MappingLike | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_epoch: OnEpoch | None = None,
) -> DistillResult:
    """Train a copy of a student on labelled images, its own classes, with a teacher's word on each image.

    Args:
        teacher: knows all of the student's classes by name; its other logits are left out (a whole source model teaches
            a task by its task logits).
        student: see `student_from` for a network of the zoo as a student.
        data: labelled images in [0,1]; only their train part is used.
        how: temperature and share of the loss.
        settings: see `modellego.training.Settings`; by default 30 epochs at learning rate 0.05.
        mapping: data class name -> student class name or index, where names do not meet.
        checkpoint: a file written after each epoch.
        resume: go on from that file.
        progress: follows the steps.
        on_epoch: called with each new point of the curve.

    Raises:
        DataError: a class of the student that the teacher does not know, or no class of the data is the student's.

    >>> from modellego.distillation import student_from
    >>> from modellego.preprocess import Preprocess
    >>> teacher = student_from("zoo:lenet5", ("0", "1"), Preprocess(1, 8, 8), width=0.5)
    >>> student = student_from("zoo:lenet5", ("0", "1"), Preprocess(1, 8, 8), width=0.25)
    >>> len(distill(teacher, student, "digits", settings=Settings(epochs=1)).curve)
    2
    """
    how, settings = how or Distillation(), settings or Settings(epochs=30, lr=0.05)
    columns = torch.from_numpy(teacher_columns(teacher, student))
    device = device_of(settings)
    hears = how.share > 0
    voice = copy.deepcopy(teacher).to(device).eval() if hears else None
    columns = columns.to(device)

    def loss(images: Framed, logits: Tensor, labels: Tensor) -> Tensor:
        if voice is None:
            return F.cross_entropy(logits, labels)
        with torch.no_grad():
            told = voice(images).float()[:, columns]
        return distillation_loss(logits, told, labels, how)

    done = train_on_images(
        student,
        data,
        loss,
        settings,
        title="distill" if hears else "train",
        shown_to=[teacher] if hears else [],
        identity={"distillation": asdict(how)} if hears else {},
        mapping=mapping,
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
        on_epoch=on_epoch,
    )
    told_by = ", ".join(s.name for s in teacher.info.sources) or "a teacher"
    how_long = f"{settings.epochs} epochs on {done.train_images:,} images"
    note_training(
        done.model,
        f"Distilled from {told_by}: {how_long}, temperature {how.temperature:g}, share {how.share:g}."
        if hears
        else f"Trained: {how_long}.",
    )
    return DistillResult(done.model, done, how, teacher.classes)


def teacher_accuracy(
    teacher: Brick | Assembled,
    student: Brick | Assembled,
    data: Data,
    mapping: MappingLike | None = None,
) -> float | None:
    """Return the teacher's accuracy on test images of the student's classes, by its logits for these alone.

    A fraction; None where there are no test images. Raises `DataError` for a class that the teacher does not know.
    """
    columns = torch.from_numpy(teacher_columns(teacher, student))
    if data.test is None or not len(data.test):
        return None
    images = data.test.for_model(student.vocabulary, mapping)
    return score(logits_of(teacher, images)[:, columns], images.labels).accuracy


def teacher_columns(teacher: Brick | Assembled, student: Brick | Assembled) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return which of the teacher's logits speaks for each of the student's classes, int64 `[C]`.

    Raises:
        DataError: the teacher lacks one of the student's classes.
    """
    found = match_labels(student.classes, teacher.classes)
    missing = [name for name, column in zip(student.classes, found, strict=True) if column < 0]
    if missing:
        raise DataError(f"the teacher has no class {missing[0]!r} ({len(missing)} are missing): restrict the student's")
    return found

"""Distillation: a small student alone, taught by the whole source, and taught by a brick of the task."""

from functools import cache, partial
from typing import Any

import numpy as np

from experiments.frame.markdown import millions, percent, table
from experiments.frame.page import reproduction
from experiments.frame.registry import CUTTING, Experiment
from experiments.frame.run import Run, source_options
from experiments.study.cutting import Cutter, Method
from experiments.study.subject import accuracy
from modellego.brick import Brick
from modellego.data import Data, ImageSet
from modellego.data.draw import shuffled_classes, together
from modellego.distillation import Distillation, distill, student_from, teachers_preprocess
from modellego.evaluation import cost
from modellego.training import Settings

Row = dict[str, Any]
TASKS = ("0-2", "3-9")
TEACHERS = {"alone": "alone", "source": "taught by the source", "brick": "taught by the brick"}
STUDENT, WIDTH = "resnet20", 0.25
IMAGES = 500  # per class, of the train part
HOW = Distillation(temperature=4.0, share=0.9)
SETTINGS = Settings(epochs=30, lr=0.05, held_out=0.0, keep="last", precision="float32")
CALIBRATION, SHARE = 200, 0.75  # of the brick


def run(run: Run) -> None:
    """Train the student three times per task: same first weights, same images in the same order."""
    for task in TASKS:
        begin = cache(partial(_Task, run, task))
        for teacher in TEACHERS:
            run.row(f"{task} {teacher}", lambda begin=begin, teacher=teacher: begin().taught(teacher))  # type: ignore[misc]


class _Task:
    """A task with both its teachers, its training images and its test images."""

    def __init__(self, run: Run, task: str) -> None:
        subject = run.subject("cifar10")
        self.run, self.whole, self.classes = run, subject.whole, task
        self.cutter = Cutter(subject.whole, subject.data, task, CALIBRATION, run.seed, progress=run.progress)
        self.task = self.cutter.job.task
        self.test = subject.test.select(self.task)
        self.train = _few(subject.train.select(self.task), run.seed)

    def taught(self, teacher: str) -> Row:
        """Train the student with one teacher, and score both."""
        run = self.run
        names = [self.whole.classes[k] for k in self.task]
        student = student_from(f"zoo:{STUDENT}", names, teachers_preprocess(self.whole), width=WIDTH, seed=run.seed)
        voice: Brick = self._brick() if teacher == "brick" else self.whole
        how = HOW if teacher != "alone" else Distillation(HOW.temperature, 0.0)
        settings = Settings(**{**vars(SETTINGS), "seed": run.seed})
        done = distill(voice, student, Data(self.train), how=how, settings=settings, progress=run.progress)
        row = {
            "accuracy": accuracy(done.student, self.test, run.progress),
            "images": len(self.train),
            "test_images": len(self.test),
            "epochs": settings.epochs,
            "student_macs": cost(done.student).macs,
            "student_parameters": cost(done.student).parameters,
        }
        if teacher == "alone":
            return row
        base = self.cutter.base() if teacher == "source" else {"restricted": self.cutter.accuracy(voice.network)}
        return row | {"teacher_accuracy": base["restricted"], "teacher_macs": cost(voice).macs}

    def _brick(self) -> Brick:
        return self.cutter.cut(Method("reconstruction"), SHARE, refit=True)


def _few(images: ImageSet, seed: int) -> ImageSet:
    orders = shuffled_classes(images.labels, range(len(images.classes)), seed)
    return images.subset(together(order[:IMAGES] for order in orders))


def tables(rows: dict[str, Row]) -> str:
    """Return one table, a line per task and teacher, and what teaching gained on each task."""
    lines, said = [], []
    for task in TASKS:
        alone = rows.get(f"{task} alone")
        for teacher, words in TEACHERS.items():
            row = rows.get(f"{task} {teacher}")
            if row is None:
                continue
            heard = (
                percent(row.get("teacher_accuracy")),
                millions(row["teacher_macs"]) if "teacher_macs" in row else "–",
            )
            lines.append([f"{task}, {words}", percent(row["accuracy"]), millions(row["student_macs"]), *heard])
            if alone is not None and teacher != "alone":
                said.append(f"{task} {words}: {100 * (row['accuracy'] - alone['accuracy']):+.2f}")
    if not lines:
        return "Nothing was worked out yet."
    parts = [table(["CIFAR-10 task, student", "accuracy", "its MACs", "teacher's accuracy", "teacher's MACs"], lines)]
    if said:
        error = max(np.sqrt(0.25 / r["test_images"]) for r in rows.values())
        parts.append(
            f"Points gained on the student alone: {'; '.join(said)}. One seed per cell, so differences of a point or "
            f"so mean little (the standard error of the test set alone is at most {100 * error:.1f})."
        )
    return "\n\n".join(parts)


SHOWS = "trains a student by a component of the task as its teacher; its figures are not at hand."
DIFFERS = (
    f"the student is a ResNet-20 of {WIDTH:g} of the width, trained {SETTINGS.epochs} epochs on {IMAGES} "
    f"images per class by SGD (learning rate {SETTINGS.lr:g}, cosine), from the same first weights on the same images "
    f"each time; temperature {HOW.temperature:g}, the teacher's share of the loss {HOW.share:g}. The source is a "
    "published ResNet-20 and teaches by its task's logits alone; the brick is its task cut to at most "
    f"{100 * SHARE:g} % of the MACs by reconstruction, with refit."
)

EXPERIMENT = Experiment(
    title="Distillation from a brick",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=(*CUTTING, "distillation", "training"),
    options=source_options,
)

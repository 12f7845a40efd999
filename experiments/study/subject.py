"""A source model under study, whole, with its data: base scores, most confident images, and tasks taken apart.

What takes a pass over a whole part of the data (the true classes' probabilities, the logits of the test images) is
worked out once and kept on disk.
"""

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.study.sources import some
from modellego.brick import Assembled, Brick
from modellego.contribution.relevance import Thresholds, plan_flow
from modellego.contribution.samples import select_samples
from modellego.contribution.stream import ClassSums, class_sums
from modellego.data import Data, ImageSet
from modellego.data.chunks import NetworkInput
from modellego.data.feed import Inputs
from modellego.disassembly.choose import Choice, by_sums, draw_calibration
from modellego.disassembly.job import Job, prepare
from modellego.disassembly.verb import cut_out
from modellego.evaluation import cost, logits_of, restricted, score
from modellego.progress import Progress, silent

Row = dict[str, Any]
SAMPLES = {10: 50, 100: 5}  # images per class that contributions come from, by number of classes: the paper's 1 %
REFIT_IMAGES = 2000  # in all, but no more than 200 per class
BATCH = 100


class Subject:
    """A source, whole, and its data by its own classes.

    `name` tells what is kept in `folder` from that of other sources and data. With `candidates`, samples are chosen
    among that many times as many training images as are taken, evenly spread, instead of among all.
    """

    def __init__(
        self,
        name: str,
        whole: Brick,
        data: Data,
        folder: Path,
        seed: int = 0,
        progress: Progress = silent,
        candidates: int | None = None,
    ) -> None:
        assert data.test is not None
        self.name, self.whole, self.seed, self.progress = name, whole, seed, progress
        self.data = data.for_model(whole.classes)
        assert self.data.test is not None
        self.train: ImageSet = self.data.train
        self.test: ImageSet = self.data.test
        self.folder, self.candidates = folder, candidates
        self.per_class = SAMPLES.get(len(whole.classes), 50)

    @cached_property
    def test_logits(self) -> Tensor:
        """Return the source's logits of its test part, float32 `[N, C]`."""
        return torch.from_numpy(self._kept("test", self.test))

    @cached_property
    def pool(self) -> NDArray[np.int64]:
        """Return the training images that samples are chosen from, ascending."""
        if self.candidates is None:
            return np.arange(len(self.train))
        each = self.candidates * self.per_class
        members = [self.train.of_class(k) for k in range(len(self.train.classes))]
        spread = [m[np.linspace(0, len(m) - 1, min(each, len(m))).astype(np.int64)] for m in members if len(m)]
        return np.sort(np.concatenate(spread))

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Return the softmax probability of the true class of the images of the pool."""
        part = self.train.subset(self.pool)
        logits = torch.from_numpy(self._kept("train", part)).double()
        true = torch.from_numpy(part.labels)[:, None]
        found: NDArray[np.float64] = logits.softmax(1).gather(1, true)[:, 0].numpy()
        return found

    def most_confident(self, task: Sequence[int], per_class: int) -> dict[int, NDArray[np.int64]]:
        """Return each class's most confident training images, as indices."""
        chosen = select_samples(self.probabilities, self.train.labels[self.pool], task, per_class=per_class)
        return {label: self.pool[places] for label, places in chosen.items()}

    def base(self, task: Sequence[int]) -> Row:
        """Return the source's accuracy on a task's test images, with all its logits and with the task's."""
        found = self.test.select(task)
        (places,) = np.nonzero(np.isin(self.test.labels, task))
        base, inside = restricted(self.test_logits[places], list(task), found.labels)
        spent = cost(self.whole)
        size = {"macs_base": spent.macs, "parameters_base": spent.parameters}
        return {"images": len(places), "base": base, "restricted": inside, **size}

    def score(self, brick: Brick, task: Sequence[int], limit: int | None = None) -> Row:
        """Return a brick's accuracy on its task's test images (the first `limit`, classes alike), and its cost."""
        return {"accuracy": accuracy(brick, some(self.test.select(task), limit), self.progress), **size(brick)}

    def apart(self, classes: str, per_class: int | None = None) -> "Apart":
        """Begin to take a task apart: its samples run through the network once."""
        return Apart(self, prepare(self.whole, Data(self.train), classes), per_class or self.per_class)

    @cached_property
    def digest(self) -> str:
        """Return what tells these weights from others of the same name."""
        found = hashlib.sha256()
        for value in self.whole.network.state_dict().values():
            found.update(value.contiguous().numpy().tobytes())
        return found.hexdigest()[:8]

    def _kept(self, part: str, images: ImageSet) -> NDArray[np.float32]:
        """Return the source's logits of a part of the data, from disk if they are there."""
        file = self.folder / f"{self.name}-{self.digest}-{part}-{len(images)}.npy"
        if file.is_file():
            known: NDArray[np.float32] = np.load(file, allow_pickle=False)
            return known
        with self.progress(f"{part} images", "images") as update:
            found = logits_of(self.whole, images, update=update).float().numpy()
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.partial.npy")  # runs may share the folder
        np.save(partial, found)
        partial.replace(file)
        return found


class Apart:
    """One task of a source on its way to be taken apart, at any thresholds, from one contribution pass."""

    def __init__(self, subject: Subject, job: Job, per_class: int) -> None:
        self.subject, self.job, self.per_class = subject, job, per_class
        self.task = job.task
        self.flow = plan_flow(job.network, job.channels)

    @cached_property
    def sums(self) -> tuple[tuple[int, ClassSums], ...]:
        """Return each class's summed contributions."""
        train = self.subject.train
        chosen = self.subject.most_confident(self.task, self.per_class)
        samples = (
            (label, Inputs(train.subset(places), self.subject.whole.frame, self.subject.whole.prepare, BATCH))
            for label, places in chosen.items()
        )
        with self.subject.progress("contribution", "classes"):
            return tuple(class_sums(self.job.network, samples, channel_map=self.job.channels))

    def choice(self, thresholds: Thresholds) -> Choice:
        """Return what any class of the task finds relevant (see `modellego.disassembly.choose.by_thresholds`)."""
        return by_sums(self.flow, self.job.channels, self.sums, thresholds)

    def brick(self, thresholds: Thresholds | None = None, refit: bool = False) -> Brick:
        """Return the brick at some thresholds (by default the paper's), cut alone or repaired in closed form."""
        chosen = thresholds or Thresholds()
        inputs = self.inputs if refit else None
        options = {"samples": {"per_class": self.per_class}, "thresholds": vars(chosen), "seed": self.subject.seed}
        return cut_out(self.job, self.choice(chosen), "contribution", options, inputs, progress=self.subject.progress)

    @cached_property
    def inputs(self) -> NetworkInput:
        """Return the images that a refit sees, as network input."""
        each = min(200, max(1, REFIT_IMAGES // len(self.task)))
        return draw_calibration(self.subject.whole, self.subject.train, self.task, each, self.subject.seed).inputs


def size(brick: Brick) -> Row:
    """Return what a brick costs, and how much of its source was kept."""
    spent = cost(brick)
    kept = {} if brick.info.cut is None else {"kept_groups": brick.info.cut.kept, "groups": brick.info.cut.total}
    return {"macs": spent.macs, "parameters": spent.parameters, **kept}


def accuracy(brick: Brick | Assembled, images: ImageSet, progress: Progress = silent) -> float:
    """Return the plain accuracy on images labelled by the brick's classes."""
    with progress("score", "images") as update:
        return score(logits_of(brick, images, update=update), images.labels).accuracy

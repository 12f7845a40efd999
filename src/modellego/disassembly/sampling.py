"""Sample images: of each class those that the source is most confident of, looked for class by class."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego import __version__
from modellego.brick import Brick
from modellego.brick.fingerprint import brick_fingerprint
from modellego.contribution.samples import PER_CLASS, select_samples, true_class_probabilities
from modellego.data import ImageSet
from modellego.data.draw import shuffled_classes, together
from modellego.data.feed import Inputs, own_batches
from modellego.disassembly.job import Job
from modellego.disassembly.kept import forget_unused, keep, kept
from modellego.distributed import agreed, gathered, processes, rank, share
from modellego.errors import DataError
from modellego.progress import Progress, Update, silent

SAMPLE_BATCH = 100  # images, which fixes the order in which contributions are summed
_MEANING = 1  # of what is kept: to be raised when the same images and network give other probabilities
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Which training images of a class serve as samples: the `per_class` most confident, or a `share` of them.

    `candidates` is how many images of a class are looked at, at most, drawn at random with the seed (a share is then
    one of these); None means all. What was found is kept in the user's cache folder (`MODELLEGO_CACHE` names another)
    and used again for the same network, preprocessing and image files, versions and threads; not with `cache=False`.

    Raises:
        DataError: a share or a number that none is.

    >>> Samples(20, candidates=500)
    Samples(per_class=20, share=None, candidates=500, cache=True)
    """

    per_class: int = PER_CLASS
    share: float | None = None
    candidates: int | None = None
    cache: bool = True

    def __post_init__(self) -> None:
        if self.share is not None and not 0 < self.share <= 1:
            raise DataError(f"the share of sample images is {self.share:g}: it must be above 0 and at most 1")
        if self.per_class < 1:
            raise DataError(f"{self.per_class} sample images per class were asked for: it must be at least 1")
        if self.candidates is not None and self.candidates < 1:
            raise DataError(f"{self.candidates} images per class were to be looked at: it must be at least 1")

    def record(self) -> dict[str, Any]:
        """Return what a brick says of them: all that its weights depend on."""
        return {name: value for name, value in asdict(self).items() if name != "cache"}


def sampled(
    whole: Brick,
    train: ImageSet,
    task: Sequence[int],
    samples: Samples,
    seed: int = 0,
    progress: Progress = silent,
) -> Iterator[tuple[int, Indices]]:
    """Choose one class's sample images after the other: a class of `task` and indices into `train`, int64 `[n]`.

    What is chosen of a class does not depend on the others: its images make batches of their own.
    """
    looked_at = [_candidates(train, label, samples, seed) for label in task]
    source = brick_fingerprint(whole) if samples.cache else None
    if source is not None:
        forget_unused()
    done, total = 0, sum(map(len, looked_at))
    with progress("samples", "images") as update:
        for label, rows in zip(task, looked_at, strict=True):
            part = train.subset(rows)
            key = _key(whole, source, label, part)
            found = agreed(kept(key, len(part)) if key is not None else None)
            if found is None:
                found = _probabilities(whole, part, partial(_tell, update, done, total))
                if key is not None and rank() == 0:
                    keep(key, found)
            best = select_samples(
                found, part.labels, [label], per_class=samples.per_class, share=samples.share, names=whole.classes
            )
            done += len(part)
            update(done, total)
            yield label, rows[best[label]]


def sample_batches(job: Job, samples: Samples, progress: Progress, seed: int = 0) -> list[tuple[int, Inputs]]:
    """Return each class with its sample images as batches of network input, decoded when they are gone through."""
    return list(batched(job, sampled(job.whole, job.data.train, job.task, samples, seed, progress)))


def batched(job: Job, chosen: Iterator[tuple[int, Indices]]) -> Iterator[tuple[int, Inputs]]:
    """Make each class's sample images network input; of several processes each takes its share of them."""
    for label, rows in chosen:
        own = rows[share(len(rows))]
        yield label, Inputs(job.data.train.subset(own), job.whole.frame, job.whole.prepare, SAMPLE_BATCH)


def _candidates(train: ImageSet, label: int, samples: Samples, seed: int) -> Indices:
    """Return which images of a class are looked at, ascending."""
    (order,) = shuffled_classes(train.labels, [label], seed)
    return together([order[: samples.candidates]])


def _probabilities(whole: Brick, part: ImageSet, update: Update) -> NDArray[np.float64]:
    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _, rows, shown in own_batches(part, whole.frames):
            yield whole.prepare(shown), torch.from_numpy(part.labels[rows])
            update(rows.stop, len(part))

    return gathered([torch.from_numpy(true_class_probabilities(whole.network.eval(), batches()))]).numpy()


def _tell(update: Update, before: int, total: int, done: int, _: int) -> None:
    update(before + done, total)


def _key(whole: Brick, source: str | None, label: int, part: ImageSet) -> str | None:
    """Return the key of a class's probabilities: all that they depend on; None where that cannot be told."""
    images = None if source is None else part.fingerprint()
    if images is None:
        return None
    device = next((str(p.device) for p in whole.network.parameters()), "cpu")
    how = [_MEANING, __version__, torch.__version__, PIL.__version__, torch.get_num_threads(), processes(), device]
    return hashlib.sha256(json.dumps([source, label, images, *how]).encode()).hexdigest()

"""Images without labels: a model's own confident predictions taken as their labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from modellego.brick import Brick
from modellego.data import ImageSet
from modellego.data.given import GivenImages, image_store
from modellego.disassembly.targets import task_of, task_vocabulary
from modellego.errors import DataError
from modellego.evaluation import logits_of
from modellego.progress import Progress, silent

THRESHOLD = 0.9
LEAST = 10


@dataclass(frozen=True)
class OwnLabels:
    """The images that a model is sure of, labelled by itself, out of `looked_at`; their classes are those asked for."""

    images: ImageSet
    looked_at: int
    threshold: float

    def __str__(self) -> str:
        counts = zip(self.images.classes, self.images.counts, strict=True)
        found = ", ".join(f"{name} {count}" for name, count in counts)
        return (
            f"of {self.looked_at} images without labels the model itself labels {len(self.images)}, "
            f"with a probability of {self.threshold:g} or more: {found}"
        )


def own_labels(
    whole: Brick,
    images: GivenImages,
    classes: str | Sequence[str | int] | None = None,
    *,
    threshold: float = THRESHOLD,
    least: int = LEAST,
    progress: Progress = silent,
) -> OwnLabels:
    """Label images by what a whole brick predicts with a probability of `threshold` or more among all its classes.

    `images` are what `predict` takes; `classes` what `disassemble` takes (a class of several has the sum of their
    probabilities), all by default. The images found serve as `data`: the labels are the model's own opinion, so that
    they say how well a brick agrees with it, not how often it is right.

    Raises:
        DataError: fewer than `least` such images of a class, telling how many there are of each; values out of range.

    >>> from torch import nn
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    >>> net[2].weight.data, net[2].bias.data = torch.eye(3) * 9, torch.zeros(3)
    >>> brick = whole_brick(net, Preprocess(3, 4, 4), ["red", "green", "blue"])
    >>> shown = torch.eye(3).repeat(4, 1)[:, :, None, None].expand(-1, -1, 4, 4)
    >>> print(own_labels(brick, shown, "red,blue", least=4))
    of 12 images without labels the model itself labels 8, with a probability of 0.9 or more: red 4, blue 4
    """
    if not 0 < threshold <= 1:
        raise DataError(f"the threshold of a label is {threshold:g}: it must be above 0 and at most 1")
    if least < 1:
        raise DataError(f"{least} images per class were asked for: it must be at least 1")
    asked = list(range(len(whole.classes))) if classes is None else classes
    targets, _ = task_of(whole, asked)
    task_vocabulary(whole, asked)  # refuses names that do not go together
    store = image_store(images)
    if not len(store):
        raise DataError("there are no images to label")
    with progress("own labels", "images") as update:
        probabilities = logits_of(whole, store, update=update).double().softmax(1)
    taken = [k for target in targets for k in target.members]
    rest = [k for k in range(len(whole.classes)) if k not in taken]
    columns = [probabilities[:, list(target.members)].sum(1) for target in targets]
    values, best = torch.cat([torch.stack(columns, 1), probabilities[:, rest]], 1).max(1)
    sure = np.flatnonzero(((values >= threshold) & (best < len(targets))).cpu().numpy())
    names = tuple(target.name for target in targets)
    found = ImageSet(names, best.cpu().numpy()[sure].astype(np.int64), store, sure.astype(np.int64))
    told = OwnLabels(found, len(store), threshold)
    few = [name for name, count in zip(names, found.counts, strict=True) if count < least]
    if few:
        raise DataError(f"{told}; {least} of {few[0]!r} are needed: give more images, or a lower threshold")
    return told

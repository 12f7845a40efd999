"""Where nothing says how a model's images were normalised: the usual ways, tried on a few labelled images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from modellego.brick import Brick
from modellego.data import ImageSet, MappingLike
from modellego.data.feed import framed_batches
from modellego.errors import DataError
from modellego.preprocess import Preprocess, apply

IMAGES = 96
USUAL: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10's": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "MNIST's": ((0.1307,), (0.3081,)),
    "a half's": ((0.5,), (0.5,)),
}


@dataclass(frozen=True)
class Tried:
    """How many of `images` a model answers right as it is, and under the best of the usual normalisations."""

    images: int
    right: int
    best: Preprocess
    best_name: str
    best_right: int
    clear: bool

    @property
    def sentence(self) -> str:
        """What was found, for people: with the numbers to give where one normalisation is clearly better."""
        found = f"mean and std are not both given: {self.right} of {self.images} train images are right as it is"
        mean, std = (",".join(f"{v:g}" for v in values) for values in (self.best.mean, self.best.std))
        found += f", {self.best_right} with {self.best_name} mean {mean} and std {std}"
        return f"{found}: give these if it was trained so" if self.clear else f"{found}, no clear difference"


def tried_on(brick: Brick, images: ImageSet, mapping: MappingLike | None = None) -> Tried | None:
    """Try the usual normalisations on images that bear the data's own labels (`try_normalisations`).

    None where the labels do not meet the brick's classes, or images do not fit: the work itself will say so.
    """
    try:
        return try_normalisations(brick, images.for_model(brick.vocabulary, mapping))
    except DataError:
        return None


def note_normalisation(brick: Brick, tried: Tried | None) -> None:
    """Note in a brick, in place, that another normalisation is clearly better, where it is."""
    if tried is not None and tried.clear:
        told = f"{tried.sentence[0].upper()}{tried.sentence[1:]}."
        brick.info = brick.info.changed(notes=f"{brick.info.notes} {told}".strip())


@torch.no_grad()
def try_normalisations(brick: Brick, images: ImageSet, count: int = IMAGES) -> Tried | None:
    """Score a whole brick on up to `count` images with its own normalisation and with the usual ones.

    `images` are labelled by the brick's classes (`ImageSet.for_model`). A difference is clear where it is more than 2.5
    standard errors of the paired answers (McNemar's test, for some three comparisons) and 3 % of the images. None
    for a brick without preprocessing.

    >>> from modellego.data import load_data
    >>> from modellego.sources.whole import whole_brick
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> tried = try_normalisations(whole_brick(net, Preprocess(1, 8, 8)), load_data("digits").train)
    >>> tried.images
    96
    """
    own = brick.info.preprocess
    if own is None:
        return None
    ways = {"its own": own} | {
        name: replace(own, mean=mean, std=std)
        for name, (mean, std) in USUAL.items()
        if len(mean) == own.channels or name == "a half's"
    }
    drawn = images.subset(np.random.default_rng(0).permutation(len(images))[:count])
    right: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in ways}
    for rows, shown in framed_batches(drawn, brick.frames):
        for name, way in ways.items():
            answers = brick.network(apply(way, shown[brick.frame])).argmax(1).cpu().numpy()
            right[name].append(answers == drawn.labels[rows])
    answered = {name: np.concatenate(parts) for name, parts in right.items()}
    plain = answered.pop("its own")
    best = max(answered, key=lambda name: int(answered[name].sum()))
    gained, lost = int((answered[best] & ~plain).sum()), int((plain & ~answered[best]).sum())
    clear = gained - lost > max(2.5 * (gained + lost) ** 0.5, 0.03 * len(drawn))
    return Tried(len(drawn), int(plain.sum()), ways[best], best, int(answered[best].sum()), clear)

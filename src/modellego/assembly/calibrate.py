"""Calibration: the bricks' columns on sample images, handed to `heads`, and what comes back as steps of a joint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from modellego.assembly.class_names import JoinedClasses
from modellego.assembly.heads import (
    Rows,
    concatenated_head,
    fit_affine,
    fit_head,
    fit_prior,
    make_rows,
)
from modellego.assembly.heads.registered import CALIBRATIONS, fit_registered
from modellego.brick import AnyBrick, Brick, Joint
from modellego.brick.joint import Read
from modellego.data import ImageSet
from modellego.data.feed import own_batches
from modellego.data.store import Store
from modellego.data.views import VIEWS, altered_frames
from modellego.distributed import gathered
from modellego.preprocess import Frame
from modellego.progress import Progress, silent

Calibrate = Literal["affine", "head", "prior"]


@dataclass(frozen=True)
class Calibration:
    """What a calibration made: the joint, which says what it reads of each brick, and a sentence."""

    joint: Joint
    told: str


def calibrated(
    bricks: Sequence[AnyBrick],
    classes: JoinedClasses,
    images: ImageSet,
    method: str,
    *,
    views: int = VIEWS,
    seed: int = 0,
    progress: Progress = silent,
) -> Calibration:
    """Make the bricks' logits comparable: a scale and a shift per class, a convex head over all features, or shifts.

    `images` are labelled by the assembled model's classes. Features are what a brick's last linear layer reads; a brick
    that does not end in one takes part with its logits. Where nothing beats plain concatenation on held-out images,
    the concatenation is kept. `prior` takes no notice of the labels, and so cannot tell.
    """
    if method == "prior":
        return calibrated_without_labels(bricks, classes, _as_often(images), progress)
    dtype = next((p.dtype for b in bricks for p in b.parameters()), torch.float32)
    if method == "affine":
        anchor = concatenated_head([_identity(b) for b in bricks])
        affine = fit_affine(
            _rows(bricks, None, images, views, seed, progress), anchor, groups=classes.groups, seed=seed
        )
        if affine.report.kept_concatenation:
            return Calibration(Joint(merge=classes.groups), affine.report.sentence())
        joint = Joint(scale=affine.scale.to(dtype), shift=affine.shift.to(dtype), merge=classes.groups)
        return Calibration(joint, affine.report.sentence())
    features = method == "head" or CALIBRATIONS.find(method).reads == "features"
    heads = [b.head if features and isinstance(b, Brick) else None for b in bricks]
    reads: list[Read] = ["output" if h is None else "features" for h in heads]
    anchor = concatenated_head(
        [_identity(b) if h is None else h.parameters() for h, b in zip(heads, bricks, strict=True)]
    )
    rows = _rows(bricks, reads, images, views, seed, progress)
    if method == "head":
        head = fit_head(rows, anchor, groups=classes.groups, seed=seed)
    else:
        head = fit_registered(method, rows, anchor, groups=classes.groups, seed=seed)
    if head.report.kept_concatenation:
        return Calibration(Joint(merge=classes.groups), head.report.sentence())
    linear = _linear(head.weight.to(dtype), head.bias.to(dtype))
    return Calibration(Joint(linear=linear, merge=classes.groups, reads=reads), head.report.sentence())


@torch.no_grad()
def calibrated_without_labels(
    bricks: Sequence[AnyBrick], classes: JoinedClasses, images: Store, progress: Progress = silent
) -> Calibration:
    """Shift each class's logit so that images, all classes about equally often among them, are shared out so.

    Nothing tells without labels whether that helps.
    """
    columns = []
    for brick in bricks:
        brick.eval()
    with progress("calibration", "images") as update:
        for _, rows, shown in own_batches(images, _frames(bricks)):
            columns.append(torch.cat([brick(shown) for brick in bricks], 1))
            update(rows.stop, len(images))
    logits = gathered(columns)
    groups = None if classes.groups is None else [list(g) for g in classes.groups]
    shift = fit_prior(logits, groups=groups)
    told = (
        f"Calibrated without labels on {len(images):,} images, taken to show all classes equally often: "
        f"logits shifted by {float(shift.min()):+.2f} to {float(shift.max()):+.2f}."
    )
    return Calibration(Joint(shift=shift, merge=classes.groups), told)


def _identity(brick: AnyBrick) -> tuple[Tensor, Tensor]:
    return torch.eye(brick.num_outputs), torch.zeros(brick.num_outputs)


@torch.no_grad()
def _rows(
    bricks: Sequence[AnyBrick],
    reads: Sequence[Read] | None,
    images: ImageSet,
    views: int,
    seed: int,
    progress: Progress,
) -> Rows:
    """Run all bricks over the images and their altered views, up to what is read of each."""
    for brick in bricks:
        brick.eval()
    wanted = [
        brick.features if isinstance(brick, Brick) and read == "features" else brick
        for brick, read in zip(bricks, reads or ["output"] * len(bricks), strict=True)
    ]
    found: list[list[list[Tensor]]] = [[[] for _ in bricks] for _ in range(views + 1)]
    with progress("calibration", "images") as update:
        for number, rows, seen in own_batches(images, _frames(bricks)):
            for view, shown in enumerate((seen, *altered_frames(seen, count=views, seed=seed + number))):
                for run, columns in zip(wanted, found[view], strict=True):
                    columns.append(run(shown))
            update(rows.stop, len(images))
    return make_rows([[gathered(columns) for columns in view] for view in found], torch.from_numpy(images.labels))


def _frames(bricks: Sequence[AnyBrick]) -> list[Frame]:
    return [frame for brick in bricks for frame in brick.frames]


def _as_often(images: ImageSet) -> ImageSet:
    """Return as many images of each class as there are of the rarest."""
    places = [images.of_class(k) for k in range(len(images.classes))]
    least = min(map(len, places))
    return images.subset(np.sort(np.concatenate([p[:least] for p in places])))


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight.contiguous()), nn.Parameter(bias)
    return layer

"""Calibration: the bricks' columns on sample images, handed to `heads`, and what comes back as steps of a joint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from modellego.assembly.class_names import JoinedClasses
from modellego.assembly.ends import as_features, last_linear, without_selection
from modellego.assembly.heads import (
    Rows,
    concatenated_head,
    fit_affine,
    fit_head,
    fit_prior,
    make_rows,
)
from modellego.assembly.heads.registered import CALIBRATIONS, fit_registered
from modellego.brick import Assembled, Brick, Joint
from modellego.data import ImageSet
from modellego.data.feed import framed_batches
from modellego.data.store import Store
from modellego.data.views import VIEWS, altered_frames
from modellego.preprocess import Frame
from modellego.progress import Progress, silent

Piece = Brick | Assembled
Calibrate = Literal["affine", "head", "prior"]


@dataclass(frozen=True)
class Calibration:
    """What a calibration made: the bricks it reads (features where a common head is to come), the joint, a sentence."""

    bricks: tuple[Piece, ...]
    joint: Joint
    told: str


def calibrated(
    bricks: Sequence[Piece],
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
        affine = fit_affine(_rows(bricks, images, views, seed, progress), anchor, groups=classes.groups, seed=seed)
        if affine.report.kept_concatenation:
            return Calibration(tuple(bricks), Joint(merge=classes.groups), affine.report.sentence())
        joint = Joint(scale=affine.scale.to(dtype), shift=affine.shift.to(dtype), merge=classes.groups)
        return Calibration(tuple(bricks), joint, affine.report.sentence())
    features = method == "head" or CALIBRATIONS.find(method).reads == "features"
    ends = [ends_in_features(b) if features else (b, _identity(b)) for b in bricks]
    readers = tuple(brick for brick, _ in ends)
    anchor = concatenated_head([head for _, head in ends])
    rows = _rows(readers, images, views, seed, progress)
    if method == "head":
        head = fit_head(rows, anchor, groups=classes.groups, seed=seed)
    else:
        head = fit_registered(method, rows, anchor, groups=classes.groups, seed=seed)
    if head.report.kept_concatenation:
        return Calibration(tuple(bricks), Joint(merge=classes.groups), head.report.sentence())
    linear = _linear(head.weight.to(dtype), head.bias.to(dtype))
    return Calibration(readers, Joint(linear=linear, merge=classes.groups), head.report.sentence())


@torch.no_grad()
def calibrated_without_labels(
    bricks: Sequence[Piece], classes: JoinedClasses, images: Store, progress: Progress = silent
) -> Calibration:
    """Shift each class's logit so that images, all classes about equally often among them, are shared out so.

    Nothing tells without labels whether that helps.
    """
    columns = []
    for brick in bricks:
        brick.eval()
    with progress("calibration", "images") as update:
        for rows, shown in framed_batches(images, _frames(bricks)):
            columns.append(torch.cat([brick(shown) for brick in bricks], 1))
            update(rows.stop, len(images))
    logits = torch.cat(columns)
    groups = None if classes.groups is None else [list(g) for g in classes.groups]
    shift = fit_prior(logits, groups=groups)
    told = (
        f"Calibrated without labels on {len(images):,} images, taken to show all classes equally often: "
        f"logits shifted by {float(shift.min()):+.2f} to {float(shift.max()):+.2f}."
    )
    return Calibration(tuple(bricks), Joint(shift=shift, merge=classes.groups), told)


def _identity(brick: Piece) -> tuple[Tensor, Tensor]:
    return torch.eye(brick.num_outputs), torch.zeros(brick.num_outputs)


def ends_in_features(brick: Piece) -> tuple[Piece, tuple[Tensor, Tensor]]:
    """Return a brick that gives features, and its own head; one without a last linear layer as it is."""
    if not isinstance(brick, Brick):
        return brick, _identity(brick)
    network = without_selection(brick.captured())
    found = last_linear(network.graph)
    if found is None or len(found[0].args[0].meta["shape"]) != 2:  # type: ignore[union-attr]
        return brick, _identity(brick)
    weight, bias = found[1].weight, cast(Tensor | None, found[1].bias)
    head = (weight.detach(), weight.new_zeros(len(weight)).detach() if bias is None else bias.detach())
    return Brick(as_features(network).graph, brick.info.changed(outputs="features")), head


@torch.no_grad()
def _rows(bricks: Sequence[Piece], images: ImageSet, views: int, seed: int, progress: Progress) -> Rows:
    """Run all bricks over the images and their altered views."""
    for brick in bricks:
        brick.eval()
    found: list[list[list[Tensor]]] = [[[] for _ in bricks] for _ in range(views + 1)]
    with progress("calibration", "images") as update:
        for number, (rows, seen) in enumerate(framed_batches(images, _frames(bricks))):
            for view, shown in enumerate((seen, *altered_frames(seen, count=views, seed=seed + number))):
                for brick, columns in zip(bricks, found[view], strict=True):
                    columns.append(brick(shown))
            update(rows.stop, len(images))
    return make_rows([[torch.cat(c) for c in view] for view in found], torch.from_numpy(images.labels))


def _frames(bricks: Sequence[Piece]) -> list[Frame]:
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

"""Calibration: the bricks' columns on sample images, handed to `heads`, and what comes back as steps of a joint."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from modellego.assemble.class_names import JoinedClasses
from modellego.assemble.ends import as_features, bare, last_linear, without_selection
from modellego.assemble.heads import (
    VIEWS,
    Anchor,
    Report,
    Rows,
    altered_views,
    concatenated_head,
    fit_affine,
    fit_head,
    make_rows,
)
from modellego.brick import Assembled, Brick, Joint
from modellego.data import ImageSet
from modellego.evaluate import image_batches
from modellego.progress import Stages, silent

Piece = Brick | Assembled
Calibrate = Literal["none", "affine", "head"]


@dataclass(frozen=True)
class Calibration:
    """What a calibration made: the bricks it reads (features where a common head is to come), the joint, a report."""

    bricks: tuple[Piece, ...]
    joint: Joint
    report: Report


def calibrated(
    bricks: Sequence[Piece],
    classes: JoinedClasses,
    images: ImageSet,
    method: Literal["affine", "head"],
    *,
    views: int = VIEWS,
    seed: int = 0,
    stages: Stages = silent,
) -> Calibration:
    """Make the bricks' logits comparable: one scale and shift a class, or a convex head over all bricks' features.

    `images` are labelled by the assembled model's classes. Features are what a brick's last linear layer reads; a brick
    that does not end in one takes part with its logits. Where nothing beats plain concatenation on held-out images,
    the concatenation is kept.
    """
    dtype = next((p.dtype for b in bricks for p in b.parameters()), torch.float32)
    if method == "affine":
        anchor = concatenated_head([_identity(b) for b in bricks])
        affine = fit_affine(_rows(bricks, images, views, seed, stages), anchor, groups=classes.groups, seed=seed)
        if affine.report.kept_concatenation:
            return Calibration(tuple(bricks), Joint(merge=classes.groups), affine.report)
        joint = Joint(scale=affine.scale.to(dtype), shift=affine.shift.to(dtype), merge=classes.groups)
        return Calibration(tuple(bricks), joint, affine.report)
    ends = [ends_in_features(b) for b in bricks]
    readers = tuple(brick for brick, _ in ends)
    anchor = concatenated_head([head for _, head in ends])
    head = fit_head(_rows(readers, images, views, seed, stages), anchor, groups=classes.groups, seed=seed)
    if head.report.kept_concatenation:
        return Calibration(tuple(bricks), Joint(merge=classes.groups), head.report)
    linear = _linear(head.weight.to(dtype), head.bias.to(dtype))
    return Calibration(readers, Joint(linear=linear, merge=classes.groups), head.report)


def _identity(brick: Piece) -> tuple[Tensor, Tensor]:
    return torch.eye(brick.num_outputs), torch.zeros(brick.num_outputs)


def ends_in_features(brick: Piece) -> tuple[Piece, tuple[Tensor, Tensor]]:
    """Return a brick that gives features, and its own head; one without a last linear layer as it is."""
    if not isinstance(brick, Brick):
        return brick, _identity(brick)
    network = without_selection(bare(brick))
    found = last_linear(network.graph)
    if found is None or len(found[0].args[0].meta["shape"]) != 2:  # type: ignore[union-attr]
        return brick, _identity(brick)
    weight, bias = found[1].weight, cast(Tensor | None, found[1].bias)
    head = (weight.detach(), weight.new_zeros(len(weight)).detach() if bias is None else bias.detach())
    return Brick(as_features(network).graph, brick.info.changed(outputs="features")), head


@torch.no_grad()
def _rows(bricks: Sequence[Piece], images: ImageSet, views: int, seed: int, stages: Stages) -> Rows:
    """Run all bricks over the images and their altered views."""
    for brick in bricks:
        brick.eval()
    found: list[list[list[Tensor]]] = [[[] for _ in bricks] for _ in range(views + 1)]
    done = 0
    with stages("calibration", "images") as update:
        for number, batch in enumerate(_batches(bricks, images)):
            for view, shown in enumerate((batch, *altered_views(batch, count=views, seed=seed + number))):
                for brick, columns in zip(bricks, found[view], strict=True):
                    columns.append(brick(shown))
            done += len(batch)
            update(done, len(images))
    return make_rows([[torch.cat(c) for c in view] for view in found], torch.from_numpy(images.labels))


def _batches(bricks: Sequence[Piece], images: ImageSet) -> Iterator[Tensor]:
    together = nn.ModuleList(bricks)
    return (batch for batch, _ in image_batches(cast(Assembled, together), images))


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight.contiguous()), nn.Parameter(bias)
    return layer


__all__ = ["Anchor", "Calibrate", "Calibration", "calibrated"]

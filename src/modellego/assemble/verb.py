"""The verb `assemble`: bricks in, one new classifier out, without training."""

import copy
from collections.abc import Sequence
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from modellego.assemble.class_names import JoinedClasses, default_names, join_classes
from modellego.assemble.ends import with_joint, without_selection
from modellego.assemble.padded import Member, check_padded, pad
from modellego.assemble.parallel import parallel
from modellego.assemble.samples import PER_CLASS, Source, labels_of, network_inputs, own_samples, train_images
from modellego.assemble.scaling import LayerScaling, logit_factors, scale_layers
from modellego.assemble.topology import match
from modellego.brick import Assembled, Brick, BrickInfo, Joint
from modellego.data import ImageSet
from modellego.errors import AssemblyError
from modellego.evaluate import logits_of
from modellego.progress import Stages, silent

Piece = Brick | Assembled
Layout = Literal["parallel", "padded"]
Scale = Literal["none", "logits", "layers"]


def assemble(
    bricks: Sequence[Piece],
    *,
    layout: Layout = "parallel",
    scale: Scale = "none",
    data: Source | Sequence[Source] | None = None,
    merge_equal_classes: bool = False,
    names: Sequence[str] | None = None,
    per_class: int | None = PER_CLASS,
    seed: int = 0,
    stages: Stages = silent,
) -> Piece:
    """Put bricks together to one classifier that tells all their classes apart; no training, the bricks are copied.

    Args:
        bricks: two or more.
        layout: `parallel` puts any bricks side by side; `padded` makes bricks of one topology one block-diagonal
            network, with the same logits to rounding.
        scale: `none`; `logits` divides each class's logit by the mean largest logit of that class's correctly predicted
            samples (the published software); `layers` brings the channels of each layer to one magnitude (the poster).
        data: images of the bricks' classes for the scaling; of `Data` the train part.
        merge_equal_classes: make a class that several bricks know one class (log-sum-exp of its logits); else equal
            names get the brick's name and a slash in front.
        names: what the bricks are called, in prefixes and errors; by default a, b, c, ...
        per_class: how many images a class the scaling takes; None for all.
        seed: of their choice.
        stages: follows the long parts.

    Raises:
        AssemblyError: bricks that do not fit the layout or the scaling, naming the first such layers and their shapes.
        DataError: a class without images.

    Source: "Model LEGO" (arXiv 2203.13453v2), alignment padding and parameter scaling.

    >>> from modellego.preprocess import Preprocess
    >>> def brick(*classes):
    ...     net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, len(classes)))
    ...     return whole_brick(net, Preprocess(1, 8, 8), classes)
    >>> from modellego.whole import whole_brick
    >>> pets, wild = brick("cat", "dog"), brick("fox", "cat")
    >>> assemble([pets, wild]).classes
    ('a/cat', 'dog', 'fox', 'b/cat')
    >>> assemble([pets, wild], layout="padded", merge_equal_classes=True).classes
    ('cat', 'dog', 'fox')
    """
    names = tuple(names) if names is not None else default_names(len(bricks))
    classes = _check(bricks, names, layout, scale, merge_equal_classes)
    images = None if scale == "none" else _samples(bricks, classes, data, per_class, seed, scale)
    notes = [f"Assembled from {', '.join(names)}: layout {layout}, scaling {scale}."]
    if scale == "layers" and images is not None:
        with stages("scaling", "bricks"):
            bricks, done = _layers_scaled(bricks, names, images)
        notes.append(_told(done))
    factors = None
    if scale == "logits" and images is not None:
        factors = _logit_factors(bricks, classes, images, stages)
    joint = Joint(scale=factors, merge=classes.groups)
    return _laid_out(bricks, names, layout, classes.classes, joint, " ".join(notes))


def _check(bricks: Sequence[Piece], names: Sequence[str], layout: str, scale: str, merge: bool) -> JoinedClasses:
    """Refuse what cannot be assembled before any work is done."""
    for value, known, what in ((layout, Layout, "layout"), (scale, Scale, "scale")):
        if value not in get_args(known):
            raise AssemblyError(f"{what} is one of {', '.join(get_args(known))}, not {value!r}")
    if len(bricks) < 2:
        raise AssemblyError("there is nothing to assemble: give two bricks or more")
    classes = join_classes([b.classes for b in bricks], names, merge)
    for brick, name in zip(bricks, names, strict=True):
        if brick.info.outputs != "logits":
            raise AssemblyError(f"{name} gives features, not logits: assemble bricks that classify")
        if not isinstance(brick, Brick) and (layout == "padded" or scale == "layers"):
            what = "layout='padded'" if layout == "padded" else "scale='layers'"
            raise AssemblyError(f"{name} is assembled of several networks, and {what} takes bricks of one network each")
    if layout == "padded":
        check_padded(_members(cast(Sequence[Brick], bricks), names))
    elif scale == "layers":
        match([without_selection(b.captured()) for b in cast(Sequence[Brick], bricks)], names)
    return classes


def _members(bricks: Sequence[Brick], names: Sequence[str]) -> list[Member]:
    return [
        Member(name, without_selection(brick.captured()), brick.info.preprocess)
        for name, brick in zip(names, bricks, strict=True)
    ]


def _samples(
    bricks: Sequence[Piece],
    classes: JoinedClasses,
    data: Source | Sequence[Source] | None,
    per_class: int | None,
    seed: int,
    scale: str,
) -> list[ImageSet]:
    train = train_images(data, f"scale={scale!r}")
    return [own_samples(train, own, per_class, seed) for own in classes.own]


def _logit_factors(
    bricks: Sequence[Piece], classes: JoinedClasses, images: Sequence[ImageSet], stages: Stages
) -> Tensor:
    found = []
    for brick, own, part in zip(bricks, classes.own, images, strict=True):
        with stages("scaling", "images") as update:
            logits = logits_of(brick, part, progress=update)
        found.append(logit_factors(logits, labels_of(part), own).to(logits.dtype))
    return torch.cat(found)


def _layers_scaled(
    bricks: Sequence[Piece], names: Sequence[str], images: Sequence[ImageSet]
) -> tuple[list[Brick], list[LayerScaling]]:
    leaves = cast(Sequence[Brick], bricks)
    networks = [without_selection(b.captured()) for b in leaves]
    inputs = [network_inputs(b, part) for b, part in zip(leaves, images, strict=True)]
    scaled, done = scale_layers(networks, inputs, names)
    return [Brick(n.graph, b.info) for n, b in zip(scaled, leaves, strict=True)], done


def _told(done: Sequence[LayerScaling]) -> str:
    """Say how far the scaling went: it changes what the bricks compute."""
    factors = torch.cat([f for layer in done for f in layer.factors]) if done else torch.ones(1)
    low, high = float(factors.min()), float(factors.max())
    return (
        f"The channels of {len(done)} layers were scaled by factors of {low:.3g} to {high:.3g}; "
        f"this changes what the bricks compute."
    )


def _laid_out(
    bricks: Sequence[Piece],
    names: Sequence[str],
    layout: str,
    classes: Sequence[str],
    joint: Joint,
    notes: str,
) -> Piece:
    if layout == "parallel":
        return parallel(bricks, classes, joint, notes=notes)
    leaves = cast(Sequence[Brick], bricks)
    network, preprocess = pad(_members(leaves, names))
    return Brick(
        with_joint(network, copy.deepcopy(joint)).graph,
        BrickInfo(
            classes=tuple(classes),
            input_shape=network.input_shape,
            preprocess=preprocess,
            sources=tuple(source for b in leaves for source in b.info.sources),
            notes=notes,
        ),
    )

"""The verb `assemble`: bricks in, one new classifier out, without training."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from modellego.assembly.calibrate import Calibrate, calibrated, calibrated_without_labels
from modellego.assembly.class_names import JoinedClasses, brick_names, join_classes, vocabularies
from modellego.assembly.ends import without_selection
from modellego.assembly.heads.registered import CALIBRATIONS
from modellego.assembly.layouts import LAYOUTS, LayoutRequest, laid_out, members, single_networks
from modellego.assembly.padding.padded import check_padded
from modellego.assembly.padding.topology import match
from modellego.assembly.same import check_distinct
from modellego.assembly.samples import PER_CLASS, other_samples, own_samples, train_images
from modellego.assembly.scaling import LayerScaling, logit_factors, scale_layers
from modellego.brick import AnyBrick, Assembly, Brick, Joint
from modellego.brick.made import made_here
from modellego.brick.reject_rule import Statistic
from modellego.data import DataLike, ImageSet, MappingLike
from modellego.data.content import content_digest
from modellego.data.feed import Inputs
from modellego.data.store import Store, as_store
from modellego.data.views import VIEWS
from modellego.errors import AssemblyError
from modellego.evaluation import logits_of
from modellego.progress import Progress, silent
from modellego.rejection.rule import HELD, add_reject_rule, check_rule

Scale = Literal["logits", "layers"]


def assemble(
    bricks: Sequence[AnyBrick],
    *,
    layout: str = "parallel",
    scale: Scale | None = None,
    calibrate: str | None = None,
    data: DataLike | None = None,
    merge_equal_classes: bool = False,
    names: Sequence[str] | None = None,
    allow_same: bool = False,
    per_class: int | None = PER_CLASS,
    views: int = VIEWS,
    unlabelled: Tensor | Store | None = None,
    reject: float | None = None,
    reject_by: Statistic | None = None,
    mapping: MappingLike | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> AnyBrick:
    """Put bricks together to one classifier that tells all their classes apart; no training, the bricks are copied.

    Args:
        bricks: two or more.
        layout: `parallel` puts any bricks side by side; `padded` makes bricks of one topology one block-diagonal
            network, with the same logits to rounding.
        scale: None; `logits` divides each class's logit by the mean largest logit of that class's correctly predicted
            samples (the published software); `layers` brings the channels of each layer to one magnitude (the poster).
        calibrate: None; `affine` fits a scale and a shift per class; `head` a convex head over all bricks' features,
            anchored at their own heads. Both are kept only where held-out images say that they help. `prior` needs no
            labels: a shift per class, so that all classes are predicted equally often on images that show them so.
        data: images of the bricks' classes for scaling and calibration; of `Data` the train part.
        merge_equal_classes: make a class that several bricks know one class (log-sum-exp of its logits); else equal
            names get the brick's name and a slash in front.
        names: what the bricks are called, in prefixes, errors and `take`; by default as their directories, or sources.
        allow_same: join a brick with itself, which is most often a slip, and else refused.
        per_class: how many images per class scaling and calibration take; None for all.
        views: how many altered views of each image calibration sees beside it.
        unlabelled: images for `prior` instead of `data`: float `[N, c, h, w]` in [0,1], or a store of any sizes.
        reject: the share of images of its own classes that the model still answers, such as 0.95; of the rest it says
            "none of these". The threshold is taken from images of `data` beyond those of scaling and calibration.
        reject_by: the statistic: `energy`, `max_logit`, `max_probability` or `margin`.
        mapping: data class name -> class name or index of the assembled model, where names do not meet by themselves.
        seed: of the choice of images and views.
        progress: follows the long parts.

    Raises:
        AssemblyError: bricks that do not fit the layout or the scaling, naming the first such layers and their shapes;
            the same brick twice.
        DataError: a class without images.

    Source: "Model LEGO" (arXiv 2203.13453v2), alignment padding and parameter scaling; `heads` for the calibrations.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> def brick(name, *classes):
    ...     net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, len(classes)))
    ...     return whole_brick(net, Preprocess(1, 8, 8), classes, name)
    >>> pets, wild = brick("pets", "cat", "dog"), brick("wild", "fox", "cat")
    >>> assemble([pets, wild]).classes
    ('pets/cat', 'dog', 'fox', 'wild/cat')
    >>> assemble([pets, wild], layout="padded", merge_equal_classes=True).classes
    ('cat', 'dog', 'fox')
    """
    names = tuple(names) if names is not None else brick_names(bricks)
    check_words(layout, scale, calibrate)
    if unlabelled is not None and calibrate != "prior":
        raise AssemblyError(f"images without labels serve calibrate='prior', not {calibrate!r}")
    check_rule(reject, reject_by)
    classes = _check_bricks(bricks, names, layout, scale, merge_equal_classes)
    if not allow_same:
        check_distinct(bricks, names)
    bricks = _refuse_early(bricks, names, layout, scale)
    how = f"layout {layout}, scaling {scale or 'none'}, calibration {calibrate or 'none'}"
    notes = [f"Assembled from {', '.join(names)}: {how}."]
    joint = Joint(merge=classes.groups)
    own_words, words = vocabularies(bricks, classes)

    def labelled(wanted_by: str) -> ImageSet:
        images = train_images(data, wanted_by)
        return images if mapping is None else images.for_model(words, mapping)

    known = used = None if reject is None else labelled(f"reject={reject:g}")
    if scale is not None:
        train = used = labelled(f"scale={scale!r}")
        samples = [own_samples(train, own, per_class, seed) for own in own_words]
        if scale == "layers":
            bricks, done = _layers_scaled(bricks, names, samples, progress)
            notes.append(_told(done))
        else:
            joint = Joint(scale=_logit_factors(bricks, classes, samples, progress), merge=classes.groups)
    if calibrate is not None:
        if unlabelled is not None:
            found = calibrated_without_labels(bricks, classes, as_store(unlabelled), progress)
        else:
            images = used = own_samples(labelled(f"calibrate={calibrate!r}"), words, per_class, seed)
            found = calibrated(bricks, classes, images, calibrate, views=views, seed=seed, progress=progress)
        joint = found.joint
        notes.append(found.told)
    made = laid_out(layout, LayoutRequest(bricks, names, classes.classes, joint, " ".join(notes)))
    asked = {"per_class": per_class, "views": views, "reject": reject}
    made.info = made.info.changed(made=made_here(seed, None if used is None else content_digest(used), asked))
    if isinstance(made, Brick) or len(made.bricks) == len(names):
        how_made = {"layout": layout, "scale": scale, "calibrate": calibrate, "merged": merge_equal_classes}
        made.info = made.info.changed(assembly=Assembly.model_validate({"names": names, **how_made}))
    if reject is not None and known is not None:
        taken = 0 if scale is None and calibrate is None else per_class
        held = other_samples(known, words, HELD, taken, seed)
        add_reject_rule(made, held, reject, reject_by, seed=seed, progress=progress)
    return made


def check_words(layout: str, scale: str | None, calibrate: str | None) -> None:
    """Refuse a layout, a scaling or a calibration that there is none of, before any work is done.

    Raises:
        AssemblyError: with the names there are.
    """
    LAYOUTS.find(layout)
    if scale is not None and scale not in get_args(Scale):
        raise AssemblyError(f"scale is one of {', '.join(get_args(Scale))}, not {scale!r}")
    if calibrate is not None and calibrate not in get_args(Calibrate) and calibrate not in CALIBRATIONS:
        known = ", ".join((*get_args(Calibrate), *CALIBRATIONS.names()))
        raise AssemblyError(f"there is no calibration {calibrate!r}: there are {known}")
    if scale == "logits" and calibrate is not None:
        raise AssemblyError(
            f"scale='logits' and calibrate={calibrate!r} both set the logits' scale: choose one of them"
        )


def _check_bricks(
    bricks: Sequence[AnyBrick], names: Sequence[str], layout: str, scale: str | None, merge: bool
) -> JoinedClasses:
    if len(bricks) < 2:
        raise AssemblyError("there is nothing to assemble: give two bricks or more")
    classes = join_classes([b.classes for b in bricks], names, merge)
    for brick, name in zip(bricks, names, strict=True):
        if brick.info.outputs != "logits":
            raise AssemblyError(
                f"{name} gives features, not logits: assemble bricks that classify (older versions saved the bricks of "
                f"a model calibrated with a head without their own: use the bricks' own directories)"
            )
        if brick.info.inputs == "graph":
            raise AssemblyError(f"{name} reads graphs: only bricks that read images are assembled")
        if not isinstance(brick, Brick) and (layout == "padded" or scale == "layers"):
            what = "layout='padded'" if layout == "padded" else "scale='layers'"
            raise AssemblyError(f"{name} is assembled of several networks, and {what} takes bricks of one network each")
    return classes


def _refuse_early(
    bricks: Sequence[AnyBrick], names: Sequence[str], layout: str, scale: str | None
) -> Sequence[AnyBrick]:
    """Refuse topologies that do not fit before images are read; return bricks whose graphs end in their last layer."""
    if layout != "padded" and scale != "layers":
        return bricks
    leaves = [_tidied(b) for b in single_networks(bricks)]
    if layout == "padded":
        check_padded(members(leaves, names))
    else:
        match([b.captured() for b in leaves], names)
    return leaves


def _tidied(brick: Brick) -> Brick:
    network = brick.captured()
    tidy = without_selection(network)
    return brick if tidy is network else Brick(tidy.graph, brick.info)


def _logit_factors(
    bricks: Sequence[AnyBrick], classes: JoinedClasses, samples: Sequence[ImageSet], progress: Progress
) -> Tensor:
    found = []
    for brick, own, part in zip(bricks, classes.own, samples, strict=True):
        with progress("scaling", "images") as update:
            logits = logits_of(brick, part, update=update)
        found.append(logit_factors(logits, torch.from_numpy(part.labels), own).to(logits.dtype))
    return torch.cat(found)


def _layers_scaled(
    bricks: Sequence[AnyBrick], names: Sequence[str], samples: Sequence[ImageSet], progress: Progress
) -> tuple[list[AnyBrick], list[LayerScaling]]:
    leaves = single_networks(bricks)
    with progress("scaling", "bricks"):
        inputs = [Inputs(part, b.frame, b.prepare, 100) for b, part in zip(leaves, samples, strict=True)]
        scaled, done = scale_layers([b.captured() for b in leaves], inputs, names)
    return [Brick(n.graph, b.info) for n, b in zip(scaled, leaves, strict=True)], done


def _told(done: Sequence[LayerScaling]) -> str:
    """Say how far the scaling went: it changes what the bricks compute."""
    factors = torch.cat([f for layer in done for f in layer.factors]) if done else torch.ones(1)
    low, high = float(factors.min()), float(factors.max())
    return (
        f"The channels of {len(done)} layers were scaled by factors of {low:.3g} to {high:.3g}; "
        f"this changes what the bricks compute."
    )

"""The ablation: the same bricks put together in every way, scored side by side, beside their sources' own accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modellego.assembly import assemble
from modellego.assembly.samples import PER_CLASS
from modellego.brick import AnyBrick
from modellego.data import DataLike, MappingLike, load_data
from modellego.errors import AssemblyError, DataError
from modellego.evaluation import logits_of, saved_score, score
from modellego.progress import Progress, silent

WAYS: dict[str, dict[str, str]] = {
    "padding": {},
    "scaling layers": {"scale": "layers"},
    "scaling logits": {"scale": "logits"},
    "affine": {"calibrate": "affine"},
    "head": {"calibrate": "head"},
}


@dataclass(frozen=True)
class Way:
    """One way of putting the bricks together: accuracies as fractions, plain, by class, and on each brick's classes.

    `remark` says why there are none, where the bricks do not fit this way.
    """

    name: str
    accuracy: float | None = None
    balanced: float | None = None
    by_brick: tuple[float, ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class Ablation:
    """All ways, and the mean over the classes of what the bricks were saved with: base and base restricted."""

    ways: tuple[Way, ...]
    images: int
    base: float | None
    base_restricted: float | None


def ablation(
    bricks: Sequence[AnyBrick],
    data: DataLike,
    *,
    names: Sequence[str] | None = None,
    mapping: MappingLike | None = None,
    merge_equal_classes: bool = False,
    per_class: int | None = PER_CLASS,
    seed: int = 0,
    progress: Progress = silent,
) -> Ablation:
    """Assemble bricks by alignment padding alone, with each parameter scaling, and with each calibration; score all.

    The side-by-side layout is taken, whose logits are those of padding. The table describes; who chooses by it should
    choose on images that are not those of the final test.

    Args:
        bricks: two or more.
        data: images of their classes: the train part serves scaling and calibration, the test part scores.
        names: what the bricks are called.
        mapping: data class name -> class name or index, where names do not meet.
        merge_equal_classes: as in `assemble`.
        per_class: images per class for scaling and calibration; None for all.
        seed: of the choice of images.
        progress: follows the long parts.

    Raises:
        DataError: there are no test images, or classes that they cannot tell apart.
        AssemblyError: bricks that cannot be put together in any way.

    Source: the paper's ablation of padding and parameter scaling.

    >>> from modellego.data import load_data
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> import torch
    >>> def brick(*classes):
    ...     net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, len(classes)))
    ...     return whole_brick(net, Preprocess(1, 8, 8), classes)
    >>> found = ablation([brick("0", "1"), brick("2", "3", "4")], load_data("digits"), per_class=5)
    >>> [way.name for way in found.ways]
    ['padding', 'scaling layers', 'scaling logits', 'affine', 'head']
    """
    images = load_data(data)
    if images.test is None or not len(images.test):
        raise DataError("there are no test images to compare on: give data with a test part")
    plain = assemble(bricks, names=names, merge_equal_classes=merge_equal_classes)
    test = images.test.for_model(plain.vocabulary, mapping)  # before the work: equal names kept apart cannot be scored
    if not len(test):
        raise DataError("no test image shows a class of these bricks")
    owners = [np.isin(plain.classes, brick.classes) for brick in bricks]
    ways = []
    with progress("ablation", "ways") as update:
        for done, (name, options) in enumerate(WAYS.items(), 1):
            try:
                made = plain
                if options:
                    made = assemble(
                        bricks,
                        data=images,
                        names=names,
                        merge_equal_classes=merge_equal_classes,
                        per_class=per_class,
                        seed=seed,
                        **options,  # type: ignore[arg-type]
                    )
            except AssemblyError as error:
                ways.append(Way(name, remark=str(error)))
            else:
                found = score(logits_of(made, test), test.labels)
                right, shown = np.diag(found.confusion), found.confusion.sum(axis=1)
                shares = [float(right[own].sum() / max(1, shown[own].sum())) for own in owners]
                ways.append(Way(name, found.accuracy, found.balanced_accuracy, tuple(shares)))
            update(done, len(WAYS))
    kept = [saved_score(plain, f"{key}_accuracy") for key in ("base", "base_restricted")]
    return Ablation(tuple(ways), len(test), kept[0], kept[1])

"""Students: a network of the zoo, a model by name or a brick, with the teacher's classes."""

from collections.abc import Sequence

import torch
from torch import nn

from modellego import zoo
from modellego.brick import Assembled, Brick
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.data import match_labels
from modellego.data.classes import near
from modellego.errors import DataError
from modellego.preprocess import Preprocess
from modellego.sources import load_source
from modellego.sources.whole import whole_brick


def student_from(
    spec: str | nn.Module,
    classes: Sequence[str],
    preprocess: Preprocess,
    *,
    width: float = 1.0,
    weights: str | None = None,
    seed: int = 0,
) -> Brick:
    """Return a student with the given classes: a zoo network (`zoo:NAME`), a source by name, or a module.

    `width` multiplies a zoo network's inner channels; without `weights` it starts from seeded random ones. A model that
    comes with more classes keeps the logits of those wanted, matched by name.

    Raises:
        DataError: the model has neither these classes nor as many.
        LegoError: the model cannot be found or captured.

    >>> student_from("zoo:resnet20", ["cat", "dog"], Preprocess(3, 32, 32), width=0.5).classes
    ('cat', 'dog')
    """
    names = tuple(classes)
    if isinstance(spec, nn.Module):
        return whole_brick(spec, preprocess, names, type(spec).__name__)
    kind, _, name = spec.partition(":")
    size = (preprocess.height, preprocess.width)
    if kind == "zoo" and weights is None:
        if name not in zoo.names():
            raise DataError(f"the zoo has no network {name!r}{near(name, zoo.names())}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = zoo.build(name, len(names), preprocess.channels, size, width)
        return whole_brick(model, preprocess, names, name if width == 1 else f"{name} x{width:g}")
    source = load_source(spec, weights=weights, input_size=size, channels=preprocess.channels)
    opened = whole_brick(source.model, source.preprocess, source.classes, source.name)
    if source.classes is None and len(opened.classes) == len(names):
        return whole_brick(source.model, source.preprocess, names, source.name)
    return restricted_to(opened, names)


def restricted_to(student: Brick | Assembled, classes: Sequence[str]) -> Brick:
    """Return a student's network with the logits of some classes, in the order given; nothing else is cut.

    Raises:
        DataError: it is an assembled model of other classes, or lacks one of them.
    """
    if student.classes == tuple(classes) and isinstance(student, Brick):
        return student
    if not isinstance(student, Brick):
        raise DataError("an assembled student must have the teacher's classes, in the same order")
    found = match_labels(classes, student.classes)
    missing = [c for c, k in zip(classes, found, strict=True) if k < 0]
    if missing:
        raise DataError(f"the student has no class {missing[0]!r}: name its classes as the teacher's, or take another")
    network = student.captured()
    channels = analyse(network)
    small = cut(plan_cut(network, channels, channels.keep_all(), found.tolist()))
    return Brick(small.graph, student.info.changed(classes=tuple(classes), scores={}, reject=None))


def teachers_preprocess(teacher: Brick | Assembled) -> Preprocess:
    """Return what images go through before a teacher (the first of its bricks that says so), for its student.

    Raises:
        DataError: no brick of it says so: it takes images as they are.
    """
    for part in teacher.modules():
        if isinstance(part, Brick) and part.info.preprocess is not None:
            return part.info.preprocess
    raise DataError("the teacher takes images as they are: say what the student's images go through")

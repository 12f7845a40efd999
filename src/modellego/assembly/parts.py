"""Take a brick off an assembled model, put one on, or replace one: what stays is joined, and calibrated, anew."""

import copy
from collections.abc import Sequence
from typing import Unpack

from modellego.assembly.class_names import brick_names, free_name
from modellego.assembly.verb import assemble
from modellego.brick import Assembled, Assembly, Brick
from modellego.brick.methods import Recalibration, Taken
from modellego.data.classes import near
from modellego.errors import AssemblyError


def take(
    model: Brick | Assembled,
    name: str,
    **again: Unpack[Recalibration],
) -> Taken:
    """Take a brick off an assembled model: it equals the brick that went in, bit by bit; the model stays as it is.

    Args:
        model: bricks side by side.
        name: the brick's name, one of `names(model)`.
        again: how the rest is calibrated again: `data`, `calibrate` and more, as `Recalibration` says.

    Raises:
        AssemblyError: there is no such brick; or the model does not hold its bricks as they went in (padded to one
            network, scaled layer by layer, or one network all along), and says so.

    >>> import torch
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> def brick(name, *classes):
    ...     net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, len(classes)))
    ...     return whole_brick(net, Preprocess(1, 8, 8), classes, name)
    >>> both = assemble([brick("pets", "cat", "dog"), brick("wild", "fox", "owl")])
    >>> pets, rest = take(both, "pets")
    >>> pets.classes, rest.classes
    (('cat', 'dog'), ('fox', 'owl'))
    """
    whole, place = _found(model, name)
    names, bricks = list(assembly_of(whole).names), _bricks(whole)
    if len(bricks) == 1:
        raise AssemblyError(f"{name} is the model's only brick: nothing would be left")
    taken = _named(bricks.pop(place), names.pop(place))
    if len(bricks) == 1:
        return Taken(taken, _named(bricks[0], names[0]))
    rest = _joined(whole, bricks, names, again, f"{name} was taken off.")
    return Taken(taken, rest)


def add(
    model: Brick | Assembled,
    brick: Brick | Assembled,
    *,
    name: str | None = None,
    allow_same: bool = False,
    **again: Unpack[Recalibration],
) -> Assembled:
    """Return an assembled model with one brick more, behind the others; neither of the two is changed.

    `name` is what the brick is called there, by default its directory, or its source. `allow_same` lets a brick join
    that is there already. The other options, and what is raised, are those of `take`.

    >>> import torch
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> def brick(name, *classes):
    ...     net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, len(classes)))
    ...     return whole_brick(net, Preprocess(1, 8, 8), classes, name)
    >>> both = assemble([brick("pets", "cat", "dog"), brick("wild", "fox", "owl")])
    >>> add(both, brick("farm", "cow", "dog")).classes
    ('cat', 'pets/dog', 'fox', 'owl', 'cow', 'farm/dog')
    """
    if isinstance(model, Brick) and model.info.assembly is None:
        raise AssemblyError("the model is one brick, to which none is added: assemble the two (assemble)")
    whole = _taken_apart(model)
    names = list(assembly_of(whole).names)
    names.append(free_name(brick_names([brick])[0], names) if name is None else name)
    return _joined(whole, [*_bricks(whole), brick], names, again, f"{names[-1]} was added.", allow_same)


def replace(
    model: Brick | Assembled,
    name: str,
    brick: Brick | Assembled,
    *,
    new_name: str | None = None,
    allow_same: bool = False,
    **again: Unpack[Recalibration],
) -> Assembled:
    """Return an assembled model with another brick in the place of the one called `name`; neither is changed.

    `new_name` is what the new brick is called there, by default its directory, or its source. The other options, and
    what is raised, are those of `take` and `add`.

    >>> import torch
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> def brick(name, *classes):
    ...     net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, len(classes)))
    ...     return whole_brick(net, Preprocess(1, 8, 8), classes, name)
    >>> both = assemble([brick("pets", "cat", "dog"), brick("wild", "fox", "owl")])
    >>> replace(both, "pets", brick("farm", "cow", "hen")).classes
    ('cow', 'hen', 'fox', 'owl')
    """
    whole, place = _found(model, name)
    bricks, names = _bricks(whole), list(assembly_of(whole).names)
    others = names[:place] + names[place + 1 :]
    names[place] = free_name(brick_names([brick])[0], others) if new_name is None else new_name
    bricks[place] = brick
    return _joined(whole, bricks, names, again, f"{name} was replaced by {names[place]}.", allow_same)


def assembly_of(model: Assembled) -> Assembly:
    """Return how a model was assembled; one saved by a version that kept no record of it is read from its joint."""
    if model.info.assembly is not None:
        return model.info.assembly
    joint = model.joint
    how = "head" if joint.linear is not None else "affine" if joint.shift is not None else None
    scale = "logits" if joint.scale is not None and joint.shift is None else None
    names = brick_names(_bricks(model))
    return Assembly(names=names, layout="parallel", scale=scale, calibrate=how, merged=joint.merge is not None)


def _taken_apart(model: Brick | Assembled) -> Assembled:
    """Return a model that holds its bricks as they went in."""
    assembly = model.info.assembly
    if assembly is not None and assembly.layout != "parallel":
        raise AssemblyError(
            f"{' and '.join(assembly.names)} were put together by layout={assembly.layout!r}, which does not hold them "
            f"as they went in: use the bricks themselves, or assemble them side by side (layout='parallel')"
        )
    if isinstance(model, Brick):
        raise AssemblyError("the model is one brick: only what is assembled of bricks comes apart")
    if any(brick.info.outputs != "logits" for brick in _bricks(model)):
        raise AssemblyError(
            "the model was saved by an older version, which cut the heads off the bricks under a common head: assemble "
            "the bricks anew"
        )
    if assembly is not None and assembly.scale == "layers":
        raise AssemblyError(
            f"{' and '.join(assembly.names)} were scaled layer by layer when they were assembled (scale='layers'), and "
            f"are no longer what went in: use the bricks themselves, or assemble them without it"
        )
    return model


def _found(model: Brick | Assembled, name: str) -> tuple[Assembled, int]:
    whole = _taken_apart(model)
    names = assembly_of(whole).names
    if name not in names:
        raise AssemblyError(f"the model has no brick called {name!r}{near(name, names)}")
    return whole, names.index(name)


def _bricks(model: Assembled) -> list[Brick | Assembled]:
    return [brick for brick, _, _ in model.parts]


def _named(brick: Brick | Assembled, name: str) -> Brick | Assembled:
    found = copy.deepcopy(brick)
    found.name = name
    return found


def _joined(
    model: Assembled,
    bricks: Sequence[Brick | Assembled],
    names: Sequence[str],
    again: Recalibration,
    happened: str,
    allow_same: bool = True,
) -> Assembled:
    """Assemble anew: with data by the calibration asked for, by default the model's own."""
    before, calibrate, scale = assembly_of(model), again.get("calibrate"), None
    calibrates = again.get("data") is not None
    if calibrate is not None and not calibrates:
        raise AssemblyError(f"calibrate={calibrate!r} needs images of the bricks' classes: give data")
    if calibrates and calibrate is None:
        scale = "logits" if before.scale == "logits" else None
        calibrate = None if scale else before.calibrate or "head"
    made = assemble(
        bricks,
        names=names,
        allow_same=allow_same,
        merge_equal_classes=before.merged,
        scale=scale,  # type: ignore[arg-type]
        **{**again, "calibrate": calibrate},  # type: ignore[arg-type]
    )
    assert isinstance(made, Assembled)
    told = [happened, made.info.notes]
    if not calibrates:
        told.append("Not calibrated since: the logits of different bricks need not be comparable.")
    if model.info.reject is not None and made.info.reject is None:
        told.append("The rule for none of these, which was about the classes before, is gone.")
    made.info = made.info.changed(notes=" ".join(told))
    return made

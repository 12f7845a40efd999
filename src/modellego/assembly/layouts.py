"""Layouts by name: how bricks stand in the assembled model; ours are side by side and padded (docs/extending.md)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from modellego.assembly.ends import as_features, with_joint
from modellego.assembly.padding.padded import Member, pad
from modellego.assembly.side_by_side import parallel
from modellego.brick import AnyBrick, Assembled, Brick, BrickInfo, Joint
from modellego.brick.joint import Read
from modellego.capture.joined import join_logits, unjoined
from modellego.capture.network import Network
from modellego.errors import AssemblyError
from modellego.registry import Registry


@dataclass(frozen=True)
class LayoutRequest:
    """Bricks to be laid out, what they are called, the classes of the result, the joint that gives its logits.

    Where the joint's `reads` says so, it reads a brick's features instead of its logits.
    """

    bricks: Sequence[AnyBrick]
    names: Sequence[str]
    classes: Sequence[str]
    joint: Joint
    notes: str


LayOut = Callable[[LayoutRequest], AnyBrick]
LAYOUTS = Registry[LayOut]("layout", AssemblyError)


def layout(name: str) -> Callable[[LayOut], LayOut]:
    """Register a layout: a function from a `LayoutRequest` to a `Brick` or an `Assembled` with its classes.

    >>> @layout("backwards")
    ... def backwards(request):
    ...     return parallel(request.bricks, request.classes, request.joint, notes="from the last to the first")
    >>> "backwards" in LAYOUTS
    True
    """

    def enter(function: LayOut) -> LayOut:
        LAYOUTS.enter(name, function)
        return function

    return enter


def laid_out(name: str, request: LayoutRequest) -> AnyBrick:
    """Lay bricks out by a layout's name, and check what comes back on one image.

    Raises:
        AssemblyError: there is no such layout, or what it returns is no model of these classes.
    """
    made = LAYOUTS.find(name)(request)
    if not isinstance(made, Brick | Assembled):
        raise AssemblyError(f"the layout {name!r} must return a Brick or an Assembled, not {type(made).__name__}")
    if made.classes != tuple(request.classes):
        raise AssemblyError(f"the layout {name!r} must give the classes {', '.join(request.classes)}, in this order")
    if name in OURS:
        return made
    first = next(part for part in made.modules() if isinstance(part, Brick))
    with torch.no_grad():
        logits = made(torch.full((1, *(first.info.input_shape or ())), 0.5))
    if logits.shape != (1, len(made.classes)) or not bool(logits.isfinite().all()):
        raise AssemblyError(f"the layout {name!r} must give {len(made.classes)} finite logits for an image")
    return made


@layout("parallel")
def side_by_side(request: LayoutRequest) -> AnyBrick:
    """Any bricks side by side on the same images."""
    return parallel(request.bricks, request.classes, request.joint, notes=request.notes)


@layout("padded")
def padded(request: LayoutRequest) -> AnyBrick:
    """Bricks of one topology as one block-diagonal network."""
    leaves = single_networks(request.bricks)
    reads: Sequence[Read] = request.joint.reads or ["output"] * len(leaves)
    network, preprocess = pad(members(leaves, request.names, reads))
    join_logits(network, [len(run) for b, read in zip(leaves, reads, strict=True) for run in _read(b, read)[1]])
    info = BrickInfo(
        classes=tuple(request.classes),
        members={
            own: inner
            for name, brick in zip(request.names, leaves, strict=True)
            for label, inner in brick.info.members.items()
            for own in (label, f"{name}/{label}")
            if own in request.classes
        },
        input_shape=network.input_shape,
        preprocess=preprocess,
        sources=tuple(source for b in leaves for source in b.info.sources),
        notes=request.notes,
    )
    return Brick(with_joint(network, request.joint).graph, info)


OURS = ("parallel", "padded")


def members(bricks: Sequence[Brick], names: Sequence[str], reads: Sequence[Read] | None = None) -> list[Member]:
    """Return bricks as alignment padding reads them, up to what the joint reads of each."""
    wanted: Sequence[Read] = reads or ["output"] * len(bricks)
    return [Member(n, _read(b, read)[0], b.info.preprocess) for n, b, read in zip(names, bricks, wanted, strict=True)]


def _read(brick: Brick, read: Read) -> tuple[Network, tuple[range, ...]]:
    """Return a brick up to its features or its plain logits, and which of these columns its classes are joined of."""
    return unjoined(as_features(brick.captured()) if read == "features" else brick.captured())


def single_networks(bricks: Sequence[AnyBrick]) -> list[Brick]:
    """Return bricks of one network each.

    Raises:
        AssemblyError: one is assembled of several.
    """
    found = [b for b in bricks if isinstance(b, Brick)]
    if len(found) < len(bricks):
        raise AssemblyError("this takes bricks of one network each, and one is assembled of several")
    return found

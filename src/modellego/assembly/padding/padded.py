"""Padded: bricks of one topology become one block-diagonal network (the paper's alignment padding)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import fx

from modellego.assembly.padding.layers import pad_layer
from modellego.assembly.padding.ops import pad_op
from modellego.assembly.padding.placement import side_by_side
from modellego.assembly.padding.topology import Step, match
from modellego.assembly.padding.walk import Laid, PadWalk
from modellego.capture.network import Network, annotate
from modellego.errors import AssemblyError
from modellego.preprocess import Preprocess

_aten = torch.ops.aten


@dataclass(frozen=True)
class Member:
    """What padding needs of a brick: a name for errors, its bare network, and what its images go through."""

    name: str
    network: Network
    preprocess: Preprocess | None


def check_padded(members: Sequence[Member]) -> None:
    """Refuse bricks that `pad` would refuse, before any weight is copied.

    Raises:
        AssemblyError: the first layers that cannot be padded, and their shapes.
    """
    _plan(members)


def pad(members: Sequence[Member]) -> tuple[Network, Preprocess | None]:
    """Put networks of one topology into one block-diagonal network, their outputs side by side, and its preprocessing.

    Every channel of every brick gets a place in one wider tensor; a layer's weights lie where its inputs' and outputs'
    channels do, zeros elsewhere. Bricks normalised alike share the image's channels; else the network takes images in
    [0,1] and normalises one copy per brick before anything is padded. The weights are copies.

    Source: alignment padding, Model LEGO (arXiv 2203.13453v2).

    Raises:
        AssemblyError: unlike topologies, input sizes or dtypes, or a layer that mixes the bricks' channels.

    >>> from modellego.capture import capture
    >>> a, b = (capture(torch.nn.Linear(3, n), (3,)) for n in (2, 4))
    >>> both, _ = pad([Member("a", a, None), Member("b", b, None)])
    >>> both.graph(torch.zeros(1, 3)).shape
    torch.Size([1, 6])
    """
    walk, preprocess = _plan(members)
    root = {path: build() for path, build in walk.root.items()}
    module = fx.GraphModule(root, walk.graph)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    module.train(members[0].network.graph.training)
    return annotate(module, members[0].network.input_shape), preprocess


def _plan(members: Sequence[Member]) -> tuple[PadWalk, Preprocess | None]:
    names = [m.name for m in members]
    if len(members) < 2:
        raise AssemblyError("there is nothing to pad: give two bricks or more")
    networks = [m.network for m in members]
    steps = match(networks, names)
    dtypes = {
        next((p.dtype for p in n.graph.parameters()), torch.float32): m for n, m in zip(networks, names, strict=True)
    }
    if len(dtypes) > 1:
        told = " and ".join(f"{m} holds {str(d).removeprefix('torch.')}" for d, m in dtypes.items())
        raise AssemblyError(f"one padded network needs one dtype ({told}): bring the bricks to one with .to(dtype)")
    walk = PadWalk(networks, names)
    preprocess = _common_preprocess(members)
    for step in steps:
        _add(walk, step, members)
    return walk, preprocess


def _add(walk: PadWalk, step: Step, members: Sequence[Member]) -> None:
    node = step[0]
    if node.op == "output":
        walk.graph.output(_logits(walk, step))
        return
    if node.op == "placeholder":
        walk.values[node] = _image(walk, node, members)
    else:
        walk.values[node] = pad_layer(walk, step) if node.op == "call_module" else pad_op(walk, step)


def _way(preprocess: Preprocess) -> str:
    """Say how images are brought to the network's size."""
    details = f" ({preprocess.crop_share:g} of it, {preprocess.interpolation})"
    plain = preprocess.crop_share == 1 and preprocess.interpolation == "bilinear"
    return f"{preprocess.resize!r}{'' if plain else details}"


def _common_preprocess(members: Sequence[Member]) -> Preprocess | None:
    """Return what all images go through before the padded network; normalisations that differ go into the network."""
    first = members[0].preprocess
    for member in members[1:]:
        other = member.preprocess
        if (first is None) != (other is None):
            raise AssemblyError(
                f"of {members[0].name} and {member.name} one takes images as they are and one "
                "prepares them: use layout='parallel'"
            )
        if first is not None and other is not None and _way(first) != _way(other):
            raise AssemblyError(
                f"{members[0].name} resizes images by {_way(first)} and {member.name} by "
                f"{_way(other)}: use layout='parallel'"
            )
    if first is None or all(m.preprocess == first for m in members):
        return first
    return replace(first, mean=(0.0,) * first.channels, std=(1.0,) * first.channels)


def _image(walk: PadWalk, node: fx.Node, members: Sequence[Member]) -> Laid:
    """Add the input, and where normalisations differ one normalised copy of it a brick."""
    shape = tuple(node.meta["shape"])
    image = walk.graph.placeholder(node.name)
    image.meta["shape"] = shape
    preprocesses = [m.preprocess for m in members if m.preprocess is not None]
    if all(p == preprocesses[0] for p in preprocesses):
        return Laid(image, None)
    copies = walk.spread(Laid(image, None), 1)
    wide = copies.node.meta["shape"]
    dtype = next((p.dtype for p in members[0].network.graph.parameters()), torch.float32)
    made = copies.node
    for key, op in (("mean", _aten.sub.Tensor), ("std", _aten.div.Tensor)):
        numbers = torch.tensor([v for p in preprocesses for v in getattr(p, key)], dtype=dtype).view(-1, 1, 1)
        held = walk.constant(f"input_{key}", lambda t=numbers: t, numbers.shape)  # type: ignore[misc]
        made = walk.emit(op, (made, held), shape=wide)
    return Laid(made, copies.placement)


def _logits(walk: PadWalk, step: Step) -> fx.Node:
    """Return the outputs of all bricks, one brick after the other."""
    source = step[0].args[0]
    assert isinstance(source, fx.Node)
    laid = walk.tensor(source)
    if laid.placement is None or laid.placement.axis != 1:
        walk.refuse(step, "its logits do not come from layers of the bricks")
    sizes = [n.args[0].meta["shape"][1] for n in step]  # type: ignore[union-attr]
    return walk.arrange(laid, side_by_side(1, sizes)).node

"""A whole source model as a brick: captured, with its preprocessing and class names, nothing cut."""

from collections.abc import Sequence

import torch
from torch import fx, nn

from modellego.brick import Brick, BrickInfo, Origin
from modellego.capture import capture
from modellego.capture.cost import network_cost
from modellego.capture.export import LogitsSelector
from modellego.capture.network import Network
from modellego.errors import CaptureError
from modellego.preprocess import Preprocess

_SOFTMAX = {torch.ops.aten.softmax.int: "softmax", torch.ops.aten.log_softmax.int: "log-softmax"}


def whole_brick(
    model: nn.Module,
    preprocess: Preprocess,
    classes: Sequence[str] | None = None,
    name: str = "model",
    logits: LogitsSelector | None = None,
) -> Brick:
    """Capture a classifier with all its classes as a brick; without names the classes are called 0, 1, ...

    A softmax or log-softmax at its end is taken off, so that it gives logits; the brick's notes say so.

    Raises:
        CaptureError: the model cannot be captured, or does not give one logit per class name.

    >>> brick = whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), Preprocess(1, 8, 8), ["a", "b", "c"])
    >>> brick.classes, brick.info.sources[0].macs
    (('a', 'b', 'c'), 192)
    """
    shape = (preprocess.channels, preprocess.height, preprocess.width)
    network = capture(model, shape, logits=logits)
    network, notes = _without_softmax(network)
    names = tuple(classes) if classes is not None else tuple(str(i) for i in range(network.num_logits))
    if len(names) != network.num_logits:
        raise CaptureError(f"{name} gives {network.num_logits} logits but {len(names)} class names: give one per logit")
    spent = network_cost(network)
    lineage = Origin(
        name=name,
        classes=names,
        of=tuple(range(len(names))),
        parameters=spent.parameters,
        macs=spent.macs,
        total=len(names),
    )
    info = BrickInfo(classes=names, input_shape=shape, preprocess=preprocess, sources=(lineage,), notes=notes)
    return Brick(network.graph, info)


def _without_softmax(network: Network) -> tuple[Network, str]:
    """Take a softmax or log-softmax off a network's end, in place: what goes into it are the logits."""
    graph = network.graph
    end = next(n for n in graph.graph.nodes if n.op == "output")
    node = end.args[0]
    if not isinstance(node, fx.Node) or node.target not in _SOFTMAX or node.args[1] not in {1, -1}:
        return network, ""
    end.args = (node.args[0],)
    graph.graph.erase_node(node)
    graph.recompile()
    return network, f"The model ends in {_SOFTMAX[node.target]}: it is left out, and what goes into it are the logits."


def name_classes(brick: Brick, names: Sequence[str]) -> bool:
    """Give a whole brick, in place, the class names of data that have as many classes as it; say whether they have.

    >>> brick = whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), Preprocess(1, 8, 8))
    >>> name_classes(brick, ["cat", "dog"]), brick.classes
    (True, ('cat', 'dog'))
    """
    if len(names) != len(brick.classes):
        return False
    sources = tuple(source.model_copy(update={"classes": tuple(names)}) for source in brick.info.sources)
    brick.info = brick.info.changed(classes=tuple(names), sources=sources)
    return True

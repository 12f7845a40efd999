"""Decision routes of a model: one route graph for a brick, one for each brick of an assembled model."""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor, fx, nn

from modellego.brick import Assembled, Brick
from modellego.capture.network import Network, annotate
from modellego.contribution.samples import PER_CLASS
from modellego.data import DataLike, ImageSet, MappingLike, match_labels
from modellego.data.feed import Inputs
from modellego.decision_routes.collect import collect_routes
from modellego.decision_routes.route_graph import RouteGraph, Routes
from modellego.decision_routes.samples import class_images
from modellego.errors import LegoError
from modellego.progress import Progress, silent


def routes(
    model: Brick | Assembled,
    data: DataLike,
    classes: str | Sequence[str | int] | None = None,
    *,
    mapping: MappingLike | None = None,
    per_class: int = PER_CLASS,
    edges: int = 24,
    threshold: float = 0.2,
    title: str = "Decision routes",
    progress: Progress = silent,
) -> Routes:
    """Follow classes through a model: a route graph for each of its bricks that has any of them.

    Args:
        model: a brick (whole or cut) or an assembled model; bricks that give features are followed to the joint's
            logits.
        data: labelled images, or what names them; the training images are used.
        classes: names or numbers of the model's classes as in `resolve_classes`; all by default.
        mapping: data class name -> model class name or index, where names do not meet by themselves.
        per_class: how many images show a class, those the model is most confident of.
        edges: how many edges are kept for each class and layer.
        threshold: where the page's slider stands at first.
        title: heading of the page; the bricks of an assembled model are named behind it.
        progress: follows the bricks.

    Raises:
        DataError: a class that the data do not show, or that the model does not have.

    >>> from modellego import zoo
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> lenet = zoo.build("lenet5", 10, channels=1, input_size=28)
    >>> brick = whole_brick(lenet, Preprocess(1, 28, 28), [str(digit) for digit in range(10)])
    >>> graph, = routes(brick, "digits", "3,7", per_class=5)
    >>> graph.classes, [layer.name for layer in graph.layers]
    (('3', '7'), ['input', 'conv1', 'conv2', 'fc1', 'fc2', 'fc3'])
    """
    shown = class_images(model, data, classes, mapping=mapping, per_class=per_class)
    parts = _parts(model)
    graphs = []
    with progress("routes", "bricks") as update:
        for number, (brick, network, names) in enumerate(parts, 1):
            samples = {
                name: (logit, Inputs(images, brick.frame, brick.prepare, 100))
                for name, images in shown.items()
                if (logit := _logit(name, names)) is not None
            }
            if samples:
                heading = title if len(parts) == 1 else f"{title}, {_called(model, number, len(parts))}"
                graphs.append(collect_routes(network, samples, edges=edges, threshold=threshold, title=heading))
            update(number, len(parts))
    if not graphs:
        raise LegoError("none of the classes belongs to one brick of this model, so there is no route to follow")
    return Routes(graphs)


def _called(model: Brick | Assembled, number: int, count: int) -> str:
    """Name one of a model's bricks: as it was called when they were put together, else by its number."""
    names = model.info.assembly.names if model.info.assembly is not None else ()
    return names[number - 1] if len(names) == count else f"brick {number}"


def follow(brick: Brick, shown: Mapping[str, ImageSet], **options: object) -> RouteGraph:
    """Follow classes through one brick, each shown by its own images; `options` as in `collect_routes`."""
    samples = {
        name: (brick.classes.index(name), Inputs(images, brick.frame, brick.prepare, 100))
        for name, images in shown.items()
    }
    return collect_routes(brick.captured(), samples, **options)  # type: ignore[arg-type]


def _parts(model: Brick | Assembled) -> list[tuple[Brick, Network, tuple[str, ...]]]:
    """Return the bricks of a model, each with a network that ends in logits and the classes of these."""
    if isinstance(model, Brick):
        return [(model, model.captured(), model.classes)]
    found: list[tuple[Brick, Network, tuple[str, ...]]] = []
    column = first = 0
    for child, read, width in model.parts:
        own = range(first, first := first + len(child.classes))
        if isinstance(child, Brick) and (read == "features" or child.info.outputs == "features"):
            head = model.joint.linear
            body = child.body if read == "features" else child.network
            if head is not None and body is not None:
                network = _with_head(child, body, head.weight.data[:, column : column + width])
                found.append((child, network, _joint_names(model, head.out_features, own)))
        else:
            found += _parts(child)
        column += width
    return found


def _joint_names(model: Assembled, columns: int, own: range) -> tuple[str, ...]:
    """Name the columns of a joint's linear layer that stand for one brick's own classes, by the model's classes."""
    groups = model.joint.merge or tuple((i,) for i in range(len(model.classes)))
    names = [f"#{i}" for i in range(columns)]
    for name, group in zip(model.classes, groups, strict=True):
        for column in group:
            if column in own:
                names[column] = name
    return tuple(names)


def _with_head(brick: Brick, body: fx.GraphModule, weight: Tensor) -> Network:
    """Put the joint's columns for one brick, `[logits, features]`, behind it, so that its features have a reader."""
    graph: fx.GraphModule = copy.deepcopy(body)
    part = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    part.weight.data.copy_(weight)
    graph.add_submodule("joint", part)
    output = next(node for node in reversed(graph.graph.nodes) if node.op == "output")
    with graph.graph.inserting_before(output):
        made = graph.graph.call_module("joint", (output.args[0],))
    output.args = (made,)
    graph.recompile()
    shape = brick.info.input_shape
    assert shape is not None
    return annotate(graph, shape)


def _logit(name: str, names: tuple[str, ...]) -> int | None:
    """The logit of a class in one brick, whose own names may lack the prefix that tells bricks apart."""
    if name in names:
        return names.index(name)
    number = match_labels(names, [name])
    fits = np.flatnonzero(number == 0)
    return int(fits[0]) if len(fits) == 1 else None

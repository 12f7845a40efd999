"""What a route picture shows, as plain values: layers of channels, their links, the strongest edges."""

import base64
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modellego.drawing.figure import as_png
from modellego.errors import LegoError

Array = NDArray[np.floating]
Role = Literal["private", "shared", "unused"]


@dataclass(frozen=True)
class RouteLayer:
    """One tensor of the network whose channels are drawn as marks.

    `contribution` is a float array `[classes, channels]` of relative contributions in 0..1; a layer with no
    channels (`[classes, 0]`) is a junction, such as a concatenation, that only shows how the graph runs.
    """

    name: str
    kind: str
    contribution: Array

    @property
    def channels(self) -> int:
        """How many marks the layer has."""
        return int(self.contribution.shape[1])


@dataclass(frozen=True)
class RouteLink:
    """A connection of the real graph between two layers, by their places in `RouteGraph.layers`.

    `kind` is `"weights"` (a layer with weights lies in between) or `"identity"` (a skip, a concatenation).
    """

    source: int
    target: int
    kind: Literal["weights", "identity"] = "weights"
    via: str = ""


@dataclass(frozen=True)
class RouteEdges:
    """The strongest channel-to-channel edges between two layers.

    `pairs` is an int array `[k, 2]` of (source channel, target channel), `weights` a float array
    `[k, classes]` in 0..1.
    """

    source: int
    target: int
    pairs: NDArray[np.integer]
    weights: Array
    via: str = ""


@dataclass(frozen=True, repr=False)
class RouteGraph:
    """All that a route picture shows; checked when made, so that drawing cannot fail half-way.

    >>> layers = (RouteLayer("input", "input", np.ones((2, 3))), RouteLayer("logits", "linear", np.eye(2)))
    >>> RouteGraph(("dog", "car"), layers, (RouteLink(0, 1),)).columns
    (0, 1)
    """

    classes: tuple[str, ...]
    layers: tuple[RouteLayer, ...]
    links: tuple[RouteLink, ...] = ()
    edges: tuple[RouteEdges, ...] = ()
    title: str = "Decision routes"
    threshold: float = 0.2
    columns: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not self.classes:
            raise LegoError("a route graph needs at least one class; name the classes to follow")
        if not self.layers:
            raise LegoError("a route graph needs at least one layer")
        if not 0 <= self.threshold <= 1:
            raise LegoError(f"the threshold is {self.threshold}, but contributions lie in 0..1")
        for layer in self.layers:
            _check_table(f"contribution of layer {layer.name}", layer.contribution, len(self.classes), axis=0)
        both: tuple[RouteLink | RouteEdges, ...] = (*self.links, *self.edges)
        for link in both:
            if not 0 <= link.source < link.target < len(self.layers):
                raise LegoError(
                    f"a link runs from layer {link.source} to {link.target}, but links run forward and the "
                    f"{len(self.layers)} layers are numbered from 0"
                )
        for edges in self.edges:
            _check_edges(edges, self.layers[edges.source], self.layers[edges.target], len(self.classes))
        object.__setattr__(self, "columns", _longest_paths(len(self.layers), self.links))

    def __repr__(self) -> str:
        edges = sum(len(found.pairs) for found in self.edges)
        return f"<RouteGraph of {len(self.classes)} classes through {len(self.layers)} layers, {edges} edges>"

    def _repr_png_(self) -> bytes | None:
        from modellego.decision_routes.static import save_picture  # which draws this very graph

        return as_png(lambda path: save_picture(self, path))


class Routes(tuple[RouteGraph, ...]):
    """The route graphs of a model, one for each brick; a notebook shows their pictures."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        pictures = [picture for graph in self if (picture := graph._repr_png_()) is not None]
        shown = [f'<img src="data:image/png;base64,{base64.b64encode(p).decode()}">' for p in pictures]
        return "".join(shown) or None


def roles(
    graph: RouteGraph, layer: int, threshold: float, active: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Return what each channel of a layer is to the active classes, as an int64 array `[channels]`.

    A class's number where the channel reaches the threshold for it alone (private), `-1` where it does
    for several (shared), `-2` where it does for none (unused).

    >>> layers = (RouteLayer("conv", "conv", np.array([[0.9, 0.9, 0.1], [0.0, 0.5, 0.1]])),)
    >>> roles(RouteGraph(("dog", "car"), layers), 0, 0.2).tolist()
    [0, -1, -2]
    """
    on = graph.layers[layer].contribution >= threshold
    if active is not None:
        on = on & active[:, None]
    count = on.sum(axis=0)
    private = on.argmax(axis=0) if on.size else np.zeros(on.shape[1], np.int64)
    return np.where(count == 1, private, np.where(count > 1, -1, -2)).astype(np.int64)


def _longest_paths(layers: int, links: tuple[RouteLink, ...]) -> tuple[int, ...]:
    """Column of each layer: the longest way to it; links run forward, so one pass in order is enough."""
    columns = [0] * layers
    for link in sorted(links, key=lambda link: link.source):
        columns[link.target] = max(columns[link.target], columns[link.source] + 1)
    return tuple(columns)


def _check_table(what: str, values: Array, classes: int, axis: int) -> None:
    if values.ndim != 2 or values.shape[axis] != classes:
        raise LegoError(f"the {what} has shape {list(values.shape)}; axis {axis} must have the {classes} classes")
    if values.size and not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise LegoError(f"the {what} must lie in 0..1; scale it before drawing")


def _check_edges(edges: RouteEdges, source: RouteLayer, target: RouteLayer, classes: int) -> None:
    name = f"weights of the edges {source.name} -> {target.name}"
    _check_table(name, edges.weights, classes, axis=1)
    if edges.pairs.shape != (len(edges.weights), 2):
        raise LegoError(f"the {name} are {len(edges.weights)}, but their pairs have shape {list(edges.pairs.shape)}")
    p, q = edges.pairs[:, 0], edges.pairs[:, 1]
    if len(p) and (edges.pairs.min() < 0 or p.max() >= source.channels or q.max() >= target.channels):
        raise LegoError(f"an edge {source.name} -> {target.name} names a channel that is not there")

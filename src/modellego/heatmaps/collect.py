"""From a network and images to the numbers of a heat map: r_p of one layer, class by class or sample by sample."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from modellego.brick import Brick
from modellego.capture.layers import WeightedLayer
from modellego.capture.modes import evaluating
from modellego.capture.network import Network
from modellego.capture.walk import GraphWalk
from modellego.contribution.aggregate import Accumulator, aggregate
from modellego.contribution.allocate import allocate
from modellego.contribution.samples import PER_CLASS
from modellego.contribution.stream import reading_layers
from modellego.data import DataLike, MappingLike
from modellego.data.feed import Inputs
from modellego.decision_routes.samples import class_images
from modellego.drawing.figure import as_png
from modellego.errors import LegoError
from modellego.heatmaps.similarity import Similarity, class_similarity
from modellego.progress import Progress, silent

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeatMap:
    """Relative contributions of the channels that one layer reads, in 0..1.

    `by_class` is float64 `[classes, channels]`; `by_sample` `[samples, channels]` with `labels` int64 `[samples]`
    numbering the classes; `similarity` compares the samples.
    """

    layer: str
    classes: tuple[str, ...]
    by_class: Floats
    by_sample: Floats
    labels: NDArray[np.int64]
    similarity: Similarity

    def _repr_png_(self) -> bytes | None:
        from modellego.heatmaps.draw import draw_classes  # matplotlib is wanted where something is drawn

        return as_png(lambda path: draw_classes(self.by_class, self.classes, path, layer=self.layer, sort=True))


def heatmap(
    model: Brick,
    data: DataLike,
    layer: str | int = -1,
    classes: str | Sequence[str | int] | None = None,
    *,
    mapping: MappingLike | None = None,
    per_class: int = PER_CLASS,
    progress: Progress = silent,
) -> HeatMap:
    """Work out the soft relative contribution of the channels that a layer reads, for classes and single samples.

    `layer` is a module path, or the place among the layers that mix channels (0 the first, -1 the last); `classes`,
    `mapping`, `per_class` and `progress` are as in `decision_routes.routes`. Raises `LegoError` for a layer that is not
    there, `DataError` for classes without images. Source: "Model LEGO", NeurIPS 2024, contribution aggregation and
    allocation; its figures of contributions by class and sample.

    >>> from modellego import zoo
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> lenet = zoo.build("lenet5", 10, channels=1, input_size=28)
    >>> brick = whole_brick(lenet, Preprocess(1, 28, 28), [str(digit) for digit in range(10)])
    >>> found = heatmap(brick, "digits", "conv2", "3,7", per_class=4)
    >>> found.by_class.shape, found.by_sample.shape
    ((2, 6), (8, 6))
    """
    network = model.captured()
    node, module = find_layer(network, layer)
    shown = class_images(model, data, classes, mapping=mapping, per_class=per_class)
    by_class, by_sample, labels = [], [], []
    with progress("heat map", "classes") as update:
        for number, images in enumerate(shown.values()):
            whole, single = contributions(network, node, module, Inputs(images, model.frame, model.prepare, 100))
            by_class.append(whole)
            by_sample.append(single)
            labels += [number] * len(single)
            update(number + 1, len(shown))
    samples, numbers = np.concatenate(by_sample), np.array(labels, np.int64)
    similarity = class_similarity(samples, numbers)
    return HeatMap(str(node.target), tuple(shown), np.stack(by_class), samples, numbers, similarity)


def find_layer(network: Network, layer: str | int) -> tuple[fx.Node, WeightedLayer]:
    """Return the call of a layer that mixes channels, by its module path or its place among them."""
    found = reading_layers(network)
    nodes = [node for node in network.graph.graph.nodes if node.name in found]
    if isinstance(layer, int):
        if not -len(nodes) <= layer < len(nodes):
            raise LegoError(f"there is no layer {layer}: the network has {len(nodes)} that mix channels, 0 the first")
        node = nodes[layer]
    else:
        named = [node for node in nodes if layer in (str(node.target), node.name)]
        if not named:
            paths = ", ".join(str(node.target) for node in nodes[:6]) + (", ..." if len(nodes) > 6 else "")
            raise LegoError(f"the network has no layer {layer} that mixes channels; it has {paths}")
        node = named[0]
    return node, found[node.name]


def contributions(
    network: Network, node: fx.Node, layer: WeightedLayer, batches: Iterable[Tensor]
) -> tuple[Floats, Floats]:
    """Return `r_p` of what one layer reads: over all samples `[channels]`, and of each `[samples, channels]`."""
    together = Accumulator(layer)
    single = []
    walk = GraphWalk(network.graph)
    with evaluating(network.graph), torch.no_grad():
        for batch in batches:
            read = walk.run(walk.start(batch), stop=node)[node.all_input_nodes[0]]
            together.add(read)
            single += [allocate(layer, aggregate(layer, read[i : i + 1])) for i in range(len(read))]
    whole = allocate(layer, together.sums())
    return whole.cpu().numpy().clip(0, 1), torch.stack(single).cpu().numpy().clip(0, 1)

"""Where a front-to-back refit keeps the feature maps of all images, and where it works them out again.

Each layer is fitted on what the refitted layers in front of it give, for all images. Nothing but the maps at a few
places of the network is kept; from the last of them, each stage's input is worked out anew. The places are those that
make the whole way cheapest, by dynamic programming over the stages.
"""

import math
from collections.abc import Sequence

from torch import fx, nn

from modellego.capture.layers import WeightedLayer
from modellego.capture.walk import GraphWalk
from modellego.refit.plan import Stage

# prices in multiplications, from what a core does in the same time
KEEPING = 250.0  # a number written to and read from a shelf, halved each way
MAKING = 20.0  # a number of a feature map, besides the layer's multiplications
DECODING = 2_000.0  # a number of the network's input, from a file
UNKEPT = 1e30  # for a list of maps: a checkpoint never lies there


def execution_order(nodes: Sequence[fx.Node], stages: Sequence[Stage]) -> list[fx.Node]:
    """Return the nodes in the order in which a refit runs them: a stage's layers wait until it is fitted."""
    at = {stage.at: stage for stage in stages}
    deferred = {node for stage in stages for node in stage.deferred}
    order: list[fx.Node] = []
    for node in nodes:
        if node not in deferred:
            order += (*at[node].deferred, node) if node in at else (node,)
    return order


def first_node(stage: Stage) -> fx.Node:
    """Return the first node that is run once a stage is fitted."""
    return (*stage.deferred, stage.at)[0]


def place_checkpoints(walk: GraphWalk, stages: Sequence[Stage]) -> set[int]:
    """Return the numbers of the stages before which all images' maps are kept; `walk` runs in `execution_order`."""
    if not stages:
        return set()
    places = [walk.position[first_node(stage)] for stage in stages]
    spent = _running_costs(walk)
    held = [sum(map(_numbers, walk.needed_from(first_node(stage)))) for stage in stages]
    work = [spent[place] for place in places]
    total = [0.0]
    for value in work:
        total.append(total[-1] + value)
    # a way through stages up to j whose last checkpoint is i; -1 stands for the images themselves
    best: list[float] = []
    came: list[int] = []
    reading = DECODING * math.prod(next(n.meta["shape"] for n in walk.nodes if n.op == "placeholder"))

    def stretch(i: int, j: int) -> float:
        """Run stages i + 1 to j from checkpoint i, each from there."""
        start, price = (0.0, reading) if i < 0 else (work[i], KEEPING / 2 * held[i])
        return total[j + 1] - total[i + 1] - (j - i) * start + (j - i) * price

    for j in range(len(stages)):
        choices = [(best[i] if i >= 0 else 0.0) + stretch(i, j) for i in range(-1, j)]
        came.append(min(range(-1, j), key=lambda i: choices[i + 1]))
        best.append(choices[came[-1] + 1] + KEEPING / 2 * held[j])
    last = len(stages) - 1
    ends = [(best[i] if i >= 0 else 0.0) + stretch(i, last) for i in range(-1, last + 1)]
    at = min(range(-1, last + 1), key=lambda i: ends[i + 1])
    found: set[int] = set()
    while at >= 0:
        found.add(at)
        at = came[at]
    return found


def _running_costs(walk: GraphWalk) -> list[float]:
    """Return what it costs to run the nodes before each position, for one image."""
    spent = [0.0]
    for node in walk.nodes:
        numbers = math.prod(node.meta["shape"]) if "shape" in node.meta and node.op != "get_attr" else 0
        layer: nn.Module | None = walk.modules[str(node.target)] if node.op == "call_module" else None
        each = layer.weight[0].numel() if isinstance(layer, WeightedLayer) else 0
        spent.append(spent[-1] + numbers * (each + MAKING))
    return spent


def _numbers(node: fx.Node) -> float:
    """Return how many numbers have to be kept of a node's result for one image."""
    if node.op == "get_attr":
        return 0
    if "shape" in node.meta:
        return float(math.prod(node.meta["shape"]))
    return 0 if "value" in node.meta else UNKEPT

"""The verb `disassemble_graph`: a brick for some classes out of a node classifier, by the code that serves images."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from modellego.brick import Brick, BrickInfo, Origin
from modellego.capture.cost import network_cost
from modellego.capture.network import Network
from modellego.channels import ChannelMap, analyse
from modellego.contribution.relevance import Thresholds, group_scores, plan_flow, relevance, relevant_groups
from modellego.contribution.samples import PER_CLASS, select_samples
from modellego.cut import cut, plan_cut, rescue
from modellego.data import resolve_classes
from modellego.disassembly.choose import Choice
from modellego.disassembly.provenance import describe
from modellego.errors import CutError
from modellego.evaluation import Cost, cost, restricted, score
from modellego.graphnet.capture import capture_graph
from modellego.graphnet.contribution import node_sums
from modellego.graphnet.data import NodeData


@dataclass(frozen=True)
class GraphCost:
    """Cost of one pass over a graph: multiply-accumulates of linear layers, and of the messages, one per value sent."""

    macs: int
    message_macs: int
    parameters: int


def whole_graph_brick(model: nn.Module, data: NodeData, name: str = "model") -> Brick:
    """Capture a node classifier as a brick with all its classes.

    Raises:
        CaptureError: it cannot be captured, or does not give one logit per class.
    """
    network = capture_graph(model, data.x.shape[1])
    spent = network_cost(network)
    everything = tuple(range(len(data.classes)))
    lineage = Origin(
        name=name,
        classes=data.classes,
        of=everything,
        parameters=spent.parameters,
        macs=spent.macs,
        total=len(everything),
    )
    shape = (data.x.shape[1],)
    return Brick(network.graph, BrickInfo(inputs="graph", classes=data.classes, input_shape=shape, sources=(lineage,)))


def disassemble_graph(
    model: nn.Module | Brick,
    data: NodeData,
    classes: str | Sequence[str | int],
    *,
    name: str = "model",
    thresholds: Thresholds | None = None,
    per_class: int = PER_CLASS,
) -> Brick:
    """Cut the task-aware component for some classes out of a node classifier.

    Args:
        model: a module that maps `(x, edge_index)` to logits per node (as PyTorch Geometric's GCN), or a graph brick.
        data: the graph; contributions come from its training nodes, scores from its test nodes.
        classes: `"0-2"`, or names and indices of the data's classes.
        name: what the lineage calls the source.
        thresholds: alpha and beta, and the rule; those for linear layers serve.
        per_class: of how many training nodes per class, the most confident, contributions are taken.

    Raises:
        CaptureError: the model cannot be captured.
        CutError: it has no channels that may be cut; the text names the ops that keep them whole.

    Source: "Model LEGO", NeurIPS 2024, sections on contribution and on graph networks.
    """
    whole = model if isinstance(model, Brick) else whole_graph_brick(model, data, name)
    task = resolve_classes(classes, data.classes)
    network = whole.captured()
    channels = analyse(network)
    if not channels.cuttable.any():
        reasons = "; ".join(dict.fromkeys(channels.pinned.values())) or "it has one layer"
        raise CutError(f"{name} has no channels that may be cut: {reasons}")
    with torch.no_grad():
        sure = whole(data.x, data.edge_index).double().softmax(1)
    train, labels = data.of_classes(data.train, task)
    probabilities = sure[train, torch.tensor(task)[labels]].numpy()
    chosen = select_samples(
        probabilities, labels.numpy(), range(len(task)), per_class=per_class, names=[data.classes[t] for t in task]
    )
    samples = {task[k]: train[torch.from_numpy(rows)] for k, rows in chosen.items()}
    choice = _relevant(network, channels, data, samples, thresholds or Thresholds())
    plan = plan_cut(network, channels, choice.keep, task)
    small = cut(plan)
    options = {"thresholds": asdict(thresholds or Thresholds()), "samples": {"per_class": per_class}}
    brick = describe(whole, plan, small, network_cost(network), "contribution", options, choice.rescued, None)
    base, base_restricted = score_nodes(whole, data, task, restrict=True)
    accuracy, _ = score_nodes(brick, data, task)
    before, after = graph_cost(whole, data), graph_cost(brick, data)
    brick.info = brick.info.changed(
        scores={
            "base_accuracy": base,
            "base_restricted_accuracy": base_restricted,
            "brick_accuracy": accuracy,
            "macs": after.macs,
            "macs_base": before.macs,
            "parameters": after.parameters,
            "parameters_base": before.parameters,
        }
    )
    return brick


def _relevant(
    network: Network, channels: ChannelMap, data: NodeData, samples: dict[int, Tensor], thresholds: Thresholds
) -> Choice:
    """Keep what any class of the task finds relevant; no tensor may end empty."""
    flow = plan_flow(network, channels)
    keep, scores = np.zeros(channels.n_groups, dtype=np.bool_), np.zeros(channels.n_groups)
    for label, sums in node_sums(network, channels, data.x, data.edge_index, samples):
        found = relevance(flow, channels, sums, label, thresholds)
        keep |= relevant_groups(channels, found)
        scores = np.maximum(scores, group_scores(channels, found))
    kept, rescued = rescue(channels, keep, scores)
    return Choice(kept, tuple(rescued))


@torch.no_grad()
def score_nodes(
    brick: Brick, data: NodeData, task: Sequence[int], restrict: bool = False
) -> tuple[float | None, float | None]:
    """Return accuracy and balanced accuracy on a task's test nodes; with `restrict`, a source's base and restricted.

    None where the task has no test nodes.
    """
    nodes, labels = data.of_classes(data.test, list(task))
    if not len(nodes):
        return None, None
    brick.eval()
    logits = brick(data.x, data.edge_index)[nodes]
    if restrict:
        return restricted(logits, list(task), labels.numpy())
    found = score(logits, labels.numpy())
    return found.accuracy, found.balanced_accuracy


def graph_cost(brick: Brick, data: NodeData) -> GraphCost:
    """Return what one pass over a graph costs; edges that the model adds, such as loops, count as one per node."""
    a_node: Cost = cost(brick)
    network = brick.captured()
    width = sum(
        int(np.prod(n.meta["shape"][1:]))
        for n in network.graph.graph.nodes
        if n.target is torch.ops.aten.index_add.default
    )
    sent = (data.edge_index.shape[1] + len(data.x)) * width
    return GraphCost(a_node.macs * len(data.x), sent, a_node.parameters)

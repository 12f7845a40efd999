"""Back to front: from one category's sums to the relevant channels of every tensor that a layer reads.

Relevance starts at the category's own logit and flows backwards, tensor by tensor, in reverse topological order; a
tensor read several times takes the union of what its readers find relevant. Channel groups take the union at the
very end, so that a residual stream is no circle.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from modellego.channels.channel_map import ChannelMap, KeepMask
from modellego.contribution.adjoint import Backward
from modellego.contribution.allocate import Allocation, Comparison, allocate, passes
from modellego.contribution.flow import Flags, Flow, channel_axis, one_axis, plan_flow, sources_of
from modellego.contribution.stream import ClassSums
from modellego.errors import CutError

ROUNDING = 1e-6  # of relative contribution: what batches, threads and processes may change


@dataclass(frozen=True)
class Thresholds:
    """How much relative contribution makes a kernel (alpha) and a channel (beta) relevant, and by which rule.

    The defaults are the paper's: its thresholds, and the poster's rule and comparison.
    """

    conv_alpha: float = 0.3
    conv_beta: float = 0.2
    linear_alpha: float = 0.4
    linear_beta: float = 0.3
    rule: Allocation = "poster"
    comparison: Comparison = ">="

    def __post_init__(self) -> None:
        if self.rule not in get_args(Allocation):
            raise CutError(
                f"relative contribution is formed by the rule {' or '.join(get_args(Allocation))}, not {self.rule!r}"
            )
        for name in ("conv_alpha", "conv_beta", "linear_alpha", "linear_beta"):
            if not 0 <= getattr(self, name) <= 1:
                raise CutError(f"the threshold {name} is {getattr(self, name):g}: it must be between 0 and 1")

    def of(self, layer: nn.Module) -> tuple[float, float]:
        """Return alpha and beta for a layer."""
        linear = isinstance(layer, nn.Linear)
        return (self.linear_alpha, self.linear_beta) if linear else (self.conv_alpha, self.conv_beta)


@dataclass(frozen=True)
class Relevance:
    """What one category needs: by reading node, its input channels' relative contribution, and what is relevant.

    `allocation[node]` is `r_p`, float64 `[P]`; `inputs[node]` the hard `r^_p`, bool `[P]`; `outputs[node]`, bool `[Q]`,
    which of the layer's output channels the layers that read them find relevant. For a linear layer behind a
    flatten, P counts features.
    """

    allocation: dict[str, NDArray[np.float64]]
    inputs: dict[str, Flags]
    outputs: dict[str, Flags]


def relevance(
    flow: Flow, channel_map: ChannelMap, sums: ClassSums, logit: int, thresholds: Thresholds | None = None
) -> Relevance:
    """Walk backwards from one logit with its category's sums, and find what the category needs.

    `flow` is `plan_flow(network, channel_map)`, made once for all categories. Raises `IndexError` where the network has
    no such logit. Source: contribution allocation and parameter linking, Model LEGO (arXiv 2203.13453);
    docs/paper.md says how they are read on any graph.

    >>> from modellego.capture import capture
    >>> from modellego.channels import analyse
    >>> from modellego.contribution.stream import class_sums
    >>> network = capture(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(16, 2)), (3, 2, 2))
    >>> channels = analyse(network)
    >>> ((label, sums),) = class_sums(network, [(0, [torch.rand(5, 3, 2, 2)])], channel_map=channels)
    >>> found = relevance(plan_flow(network, channels), channels, sums, label)
    >>> {node: flags.shape for node, flags in found.inputs.items()}
    {'_2': (16,), '_0': (3,)}
    """
    thresholds = thresholds or Thresholds()
    readings = {reading.node for reading in channel_map.readers}
    nodes = list(flow.network.graph.graph.nodes)
    (output,) = nodes[-1].all_input_nodes
    wanted = np.zeros((1, flow.network.num_logits), dtype=np.bool_)
    wanted[0, logit] = True
    backward = Backward(flow)
    backward.mark(output, wanted)
    found = Relevance({}, {}, {})
    for node in reversed(nodes[:-1]):
        if node.name not in readings:
            backward.through(node)
            continue
        layer = flow.layer(node)
        alpha, beta = thresholds.of(layer)
        outputs = backward.of(node).reshape(-1)
        soft = allocate(
            layer,  # type: ignore[arg-type]
            sums.layers[node.name],
            thresholds.rule,
            alpha=alpha,
            relevant=torch.from_numpy(outputs),
            comparison=thresholds.comparison,
        )
        (source,) = sources_of(node)
        shape = source.meta["shape"]
        axis = channel_axis(layer, len(shape))
        soft = soft.repeat_interleave(shape[axis] // len(soft))  # one value per map where maps were summed
        inputs = passes(soft, beta, thresholds.comparison).numpy()
        found.allocation[node.name], found.inputs[node.name], found.outputs[node.name] = soft.numpy(), inputs, outputs
        backward.mark(source, inputs.reshape(one_axis(len(shape), axis, inputs.size)))
    return found


def relevant_groups(channel_map: ChannelMap, found: Relevance) -> KeepMask:
    """Return the channel groups that any reader finds relevant, bool `[n_groups]`.

    A group stays where any reader finds any of its channels relevant. Groups that may not be cut are not added.
    """
    keep = np.zeros(channel_map.n_groups, dtype=np.bool_)
    for reading in channel_map.readers:
        groups = reading.in_groups[found.inputs[reading.node]]
        keep[groups[groups >= 0]] = True
    return keep


def near_ties(
    flow: Flow, channel_map: ChannelMap, found: Relevance, thresholds: Thresholds
) -> tuple[KeepMask, KeepMask]:
    """Return which channel groups lie within rounding of a reader's threshold, and which a reader needs beyond that.

    Both bool `[n_groups]`. What is in the first alone may be decided otherwise by another number of threads.
    """
    close, needed = (np.zeros(channel_map.n_groups, dtype=np.bool_) for _ in range(2))
    modules = dict(flow.network.graph.named_modules())
    for reading in channel_map.readers:
        _, beta = thresholds.of(modules[reading.layer])
        known = reading.in_groups >= 0
        over = found.allocation[reading.node][known] - beta
        close[reading.in_groups[known][(np.abs(over) <= ROUNDING) & (beta > 0)]] = True
        needed[reading.in_groups[known][over > (ROUNDING if beta > 0 else -1)]] = True
    return close, needed


def group_scores(channel_map: ChannelMap, found: Relevance) -> NDArray[np.float64]:
    """Return each channel group's largest relative contribution `r_p` over its readers, float64 `[n_groups]`."""
    scores = np.zeros(channel_map.n_groups)
    for reading in channel_map.readers:
        known = reading.in_groups >= 0
        np.maximum.at(scores, reading.in_groups[known], found.allocation[reading.node][known])
    return scores


__all__ = ["Relevance", "Thresholds", "group_scores", "near_ties", "plan_flow", "relevance", "relevant_groups"]

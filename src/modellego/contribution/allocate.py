"""Allocation: from contributions to the relevance of each input channel, by either rule of the paper.

Everything here is arithmetic on float64 arrays, one layer at a time, in blocks of output channels that stay
in cache.
"""

from typing import Literal

import torch
from torch import Tensor

from modellego.capture.layers import WeightedLayer
from modellego.contribution.aggregate import LayerSums, group_count, table

Allocation = Literal["poster", "back_to_front"]
Comparison = Literal[">=", ">"]
EPS = 1e-5
BLOCK_ENTRIES = 1 << 17  # of float64: about one core's second-level cache


def minmax(values: Tensor, dim: int = -1, eps: float = EPS) -> Tensor:
    """Scale values to 0..1 along `dim`: `(v - min) / (max - min + eps)`.

    Source: the normalisation in contribution aggregation (over p, for each q) and in contribution allocation,
    Model LEGO (arXiv 2203.13453).

    >>> minmax(torch.tensor([[0., 1., 2.]], dtype=torch.float64), eps=0.0)
    tensor([[0.0000, 0.5000, 1.0000]], dtype=torch.float64)
    """
    low, high = torch.aminmax(values, dim=dim, keepdim=True)
    return (values - low) / (high - low + eps)


def passes(values: Tensor, threshold: float, comparison: Comparison = ">=") -> Tensor:
    """Compare relative contributions with a threshold: the poster's `>=` or the published software's `>`."""
    return values >= threshold if comparison == ">=" else values > threshold


def pair_relevance(layer: WeightedLayer, sums: LayerSums, eps: float = EPS) -> Tensor:
    """Return the soft relative contributions `r_{q,p}`, float64 `[Q, P/groups]`, scaled within the group."""
    return minmax(table(layer, sums), 1, eps)


def allocate(
    layer: WeightedLayer,
    sums: LayerSums,
    rule: Allocation = "poster",
    *,
    alpha: float = 0.3,
    relevant: Tensor | None = None,
    comparison: Comparison = ">=",
    eps: float = EPS,
) -> Tensor:
    """Return the relative contribution `r_p` of each input channel, float64 `[P]`.

    `poster`: from the soft `r_{q,p}` of all output channels. `back_to_front`: from the hard ones, `r_{q,p}`
    against `alpha`, of the `relevant` output channels (bool `[Q]`, required) only. In a grouped layer both
    scalings are within the group. Source: contribution allocation, Model LEGO (arXiv 2203.13453);
    `back_to_front` as its published software does it.

    >>> layer = torch.nn.Linear(3, 2)
    >>> _ = layer.weight.data.copy_(torch.tensor([[0., 1., 2.], [0., 0., 4.]]))
    >>> sums = LayerSums(1, torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    >>> allocate(layer, sums, eps=0.0)
    tensor([0.0000, 0.2500, 1.0000], dtype=torch.float64)
    >>> allocate(layer, sums, "back_to_front", relevant=torch.tensor([True, False]), eps=0.0)
    tensor([0., 1., 1.], dtype=torch.float64)
    """
    if rule == "back_to_front" and relevant is None:
        raise ValueError("the back_to_front rule needs to know which output channels of the layer are relevant")
    groups = group_count(layer)
    count = layer.weight.shape[0]
    rows = torch.arange(count)
    if rule == "back_to_front" and relevant is not None:
        rows = rows[relevant]
    width = _columns(layer, sums)
    total = torch.zeros(groups, width, dtype=torch.float64)
    for block in torch.split(rows, max(1, BLOCK_ENTRIES // width)):
        pairs = minmax(table(layer, sums, block), 1, eps)
        if rule == "back_to_front":
            pairs = passes(pairs, alpha, comparison).double()
        total.index_add_(0, block // (count // groups), pairs)
    return minmax(total, 1, eps).flatten()


def _columns(layer: WeightedLayer, sums: LayerSums) -> int:
    """How many input channels each output channel reads."""
    if sums.pairs is not None:
        return len(sums.pairs) // group_count(layer)
    return int(layer.weight.shape[1])

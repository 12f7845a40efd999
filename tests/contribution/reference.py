"""The literal reference: contributions from hidden feature maps really held (Model LEGO, arXiv 2203.13453)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5


def hidden_feature_maps(layer: nn.Module, x: Tensor) -> Tensor:
    """`a_{q,p}` of every sample, `[N, Q, P/groups, *spatial]`: each kernel on its own feature map."""
    if isinstance(layer, nn.Linear):
        tokens = x.reshape(len(x), -1, x.shape[-1])  # [N, L, P]
        return torch.einsum("nlp,qp->nqpl", tokens, layer.weight)
    weight = layer.weight
    q_all, p_group = weight.shape[:2]
    maps = []
    for q in range(q_all):
        group = q // (q_all // layer.groups)
        for p in range(p_group):
            channel = group * p_group + p
            single = type(layer)(
                1,
                1,
                layer.kernel_size,
                layer.stride,
                layer.padding,
                layer.dilation,
                bias=False,
                padding_mode=layer.padding_mode,
                dtype=weight.dtype,
            )
            single.weight = nn.Parameter(weight[q : q + 1, p : p + 1])
            maps.append(single(x[:, channel : channel + 1])[:, 0])
    stacked = torch.stack(maps, 1)
    return stacked.reshape(len(x), q_all, p_group, *stacked.shape[2:])


@torch.no_grad()
def contribution_table(layer: nn.Module, x: Tensor) -> Tensor:
    """`sum_n max(s_{n,q,p}, 0)`, `[Q, P/groups]`."""
    maps = hidden_feature_maps(layer, x)
    return F.relu(maps.flatten(3).sum(3)).sum(0)


def _minmax(values: list[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(v - low) / (high - low + EPS) for v in values]


def allocation(
    table: Tensor,
    groups: int,
    rule: str,
    *,
    alpha: float = 0.3,
    relevant: Tensor | None = None,
    comparison: str = ">=",
) -> Tensor:
    """`r_p` `[P]` of one layer, by explicit loops."""
    q_all, p_group = table.shape
    result: list[float] = []
    for g in range(groups):
        totals = [0.0] * p_group
        for q in range(g * (q_all // groups), (g + 1) * (q_all // groups)):
            if rule == "back_to_front" and not relevant[q]:
                continue
            row = _minmax(table[q].tolist())
            for p, r in enumerate(row):
                if rule == "poster":
                    totals[p] += r
                else:
                    totals[p] += float(r >= alpha if comparison == ">=" else r > alpha)
        result += _minmax(totals)
    return torch.tensor(result, dtype=torch.float64)

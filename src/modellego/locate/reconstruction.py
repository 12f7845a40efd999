"""Readers' normal equations, and what each channel group's loss costs them once they have been fitted anew.

The optimal-brain-surgeon rule on groups of features: with H the inverse of a reader's regularised normal matrix and w
the weights of a group's features, the loss after the best refit without them is larger by tr(w' (H_ss)^-1 w), weighed
by how much each output channel matters to the task's logits.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.capture.layers import WeightedLayer
from modellego.leastsquares import weight_matrix

Floats = NDArray[np.float64]
WIDE = 5_000  # features beyond which a reader's normal matrix is not held whole
LOOKS = 64  # removals between two looks at a reader's costs: its sets over this, at least one


@dataclass
class Reconstruction:
    """One convolution group of one reading layer: normal matrix, weights, and which features each channel group owns.

    `inverse` float64 [F, F]; `weights` [F, Q]; `metric` [Q, Q], the logits' sensitivity to its outputs; `features`
    maps a set to its features' numbers; `scale` turns the loss into measured harm.
    """

    layer: str
    inverse: Tensor
    weights: Tensor
    metric: Tensor
    features: dict[int, Tensor]
    outputs: Tensor
    scale: float = 1.0
    loss: float = 0.0
    _since: int = 0
    _costs: dict[int, float] = field(default_factory=dict)

    def copy(self) -> "Reconstruction":
        """Return a copy that can be eliminated from without touching this one."""
        return Reconstruction(
            self.layer,
            self.inverse.clone(),
            self.weights.clone(),
            self.metric.clone(),
            dict(self.features),
            self.outputs,
            self.scale,
        )

    def costs(self) -> dict[int, float]:
        """Return each channel group's cost, worked out anew once enough has gone since the last look."""
        if not self._costs or self._since >= max(1, len(self.features) // LOOKS):
            self._costs = self._work_out()
            self._since = 0
        return dict(self._costs)

    def _work_out(self) -> dict[int, float]:
        found: dict[int, float] = {}
        by_size: dict[int, list[int]] = {}
        for chosen, features in self.features.items():
            by_size.setdefault(len(features), []).append(chosen)
        for sets in by_size.values():
            for block in (sets[i : i + 64] for i in range(0, len(sets), 64)):
                index = torch.stack([self.features[s] for s in block])
                own = self.inverse[index[:, :, None], index[:, None, :]]
                weights = self.weights[index]
                values = ((weights @ self.metric) * torch.linalg.solve(own, weights)).sum((1, 2))
                found.update(zip(block, values.tolist(), strict=True))
        return found

    def remove(self, chosen: int) -> None:
        """Take a group's features out: the rest are refitted, and the loss grows by the group's cost."""
        if chosen not in self.features:
            return
        index = self.features.pop(chosen)
        columns = self.inverse[:, index].clone()
        own = columns[index]
        weights = self.weights[index].clone()
        solved = torch.linalg.solve(own, torch.cat([weights, columns.T], 1))
        self.loss += float(((weights @ self.metric) * solved[:, : weights.shape[1]]).sum())
        self.weights -= columns @ solved[:, : weights.shape[1]]
        self.inverse -= columns @ solved[:, weights.shape[1] :]
        self.inverse[index] = 0
        self.inverse[:, index] = 0
        self.inverse[index, index] = 1
        self.weights[index] = 0
        self._costs.pop(chosen, None)
        self._since += 1

    def silence(self, chosen: int) -> None:
        """Stop caring for the output channels of a channel group that is gone."""
        gone = self.outputs == chosen
        if gone.any():
            self.metric[gone] = 0
            self.metric[:, gone] = 0
            self._since += LOOKS

    def cheapest_half(self) -> "Reconstruction":
        """Return a copy that has lost half of its channel groups, those that cost it least."""
        half = self.copy()
        for _ in range(len(self.features) // 2):
            costs = half.costs()
            half.remove(min(costs, key=costs.__getitem__))
        return half


def make_reconstructions(
    path: str,
    layer: WeightedLayer,
    in_groups: Floats | NDArray[np.int64],
    out_groups: NDArray[np.int64],
    gram: Tensor,
    metric: Tensor,
    ridge: float,
    movable: NDArray[np.bool_],
) -> list[Reconstruction]:
    """Return a layer's readers, one per group, from its Gram matrix `[groups, F (+ 1), F (+ 1)]` (mean over rows).

    `metric` is `[Q, Q]` over all outputs. Groups that may not be cut own no features: they can only help.
    """
    weights = weight_matrix(layer)
    groups, features, outputs = weights.shape
    bias = gram.shape[1] - features
    readers = []
    for g in range(groups):
        own = in_groups.reshape(groups, -1)[g]
        each = features // own.size
        owned = {
            int(s): torch.from_numpy((np.flatnonzero(own == s)[:, None] * each + np.arange(each)).reshape(-1))
            for s in np.unique(own)
            if s >= 0 and movable[s]
        }
        body = gram[g]
        if features > WIDE:
            body = _blocks(body, owned)
        diagonal = body.diagonal()
        level = ridge * diagonal[:features].mean() + 1e-12
        inverse = torch.linalg.inv(body + torch.diag(torch.full_like(diagonal, float(level))))
        rows = slice(g * outputs, (g + 1) * outputs)
        padded = torch.cat([weights[g], weights.new_zeros(bias, outputs)])
        readers.append(
            Reconstruction(
                path, inverse, padded, metric[rows, rows].clone(), owned, torch.from_numpy(out_groups[rows].copy())
            )
        )
    return readers


def _blocks(gram: Tensor, owned: dict[int, Tensor]) -> Tensor:
    """Keep only what a group's features share among themselves."""
    kept = torch.diag(gram.diagonal())
    for index in owned.values():
        kept[index[:, None], index] = gram[index[:, None], index]
    return kept

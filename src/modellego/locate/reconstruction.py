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
WIDE = 5_000  # features beyond which each channel group is taken to stand alone: their square would not fit
LOOKS = 64  # removals that are worked in together, between two looks at the costs: the groups left over this


@dataclass
class Reconstruction:
    """How well the inputs left of one group of a layer still give its outputs, while channel groups go.

    `inverse` float64 [F, F] of the normal matrix, `weights` [F, Q] and `features`, a channel group's rows in both,
    change as groups go; `metric` [Q, Q], the logits' sensitivity to the outputs, does not. `scale` turns the loss into
    measured harm. In wide layers a few removals wait and are worked in together; until then `loss` is foretold.
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
    _foretold: float = 0.0
    _costs: dict[int, float] = field(default_factory=dict)
    _waiting: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._cared = torch.ones(len(self.outputs), dtype=torch.float64)  # 0 for outputs that are gone
        self._weighed = self.weights @ self.metric  # by the metric of the outputs that are left
        self._rows = torch.arange(len(self.weights))  # which rows of the whole layer are left
        self._size = len(self.weights)

    def copy(self) -> "Reconstruction":
        """Return a copy that can be eliminated from without touching this one, as long as nothing has gone."""
        weights, features = self.weights.clone(), dict(self.features)
        return Reconstruction(
            self.layer, self.inverse.clone(), weights, self.metric, features, self.outputs, self.scale
        )

    def whole_weights(self) -> Tensor:
        """Return the weights with a row for each feature of the layer, 0 where it has gone."""
        self._work_in()
        whole = self.weights.new_zeros(self._size, self.weights.shape[1])
        whole[self._rows] = self.weights
        return whole

    def costs(self) -> dict[int, float]:
        """Return each group's cost, worked out anew once enough has gone since the last look."""
        if not self._costs or self._since >= self._lot():
            self._work_in()
            self._costs = self._work_out()
            self._since = 0
        return dict(self._costs)

    def _lot(self) -> int:
        return max(1, len(self.features) // LOOKS)

    def _work_out(self) -> dict[int, float]:
        found: dict[int, float] = {}
        by_size: dict[int, list[int]] = {}
        for chosen, features in self.features.items():
            by_size.setdefault(len(features), []).append(chosen)
        for groups in by_size.values():
            for block in (groups[i : i + 64] for i in range(0, len(groups), 64)):
                index = torch.stack([self.features[s] for s in block])
                own = self.inverse[index[:, :, None], index[:, None, :]]
                values = (self._weighed[index] * torch.linalg.solve(own, self.weights[index])).sum((1, 2))
                found.update(zip(block, values.tolist(), strict=True))
        return found

    def remove(self, chosen: int) -> None:
        """Take a group's features out: the rest are refitted, and the loss grows by the group's cost."""
        if chosen not in self.features:
            return
        known = self._costs.pop(chosen, None)
        self._waiting.append(self.features.pop(chosen))
        self._since += 1
        if known is not None:
            self.loss += known
            self._foretold += known
        if known is None or len(self._waiting) >= self._lot():
            self._work_in()

    def _work_in(self) -> None:
        """Take out what waits, all at once, and set the loss right."""
        if not self._waiting:
            return
        index = torch.cat(self._waiting)
        self._waiting.clear()
        columns = self.inverse[:, index].clone()
        count = self.weights.shape[1]
        solved = torch.linalg.solve(columns[index], torch.cat([self.weights[index], columns.T], 1))
        step = solved[:, :count]
        self.loss += float((self._weighed[index] * step).sum()) - self._foretold
        self._foretold = 0.0
        self.weights.addmm_(columns, step, alpha=-1)
        self._weighed.addmm_(columns, ((step * self._cared) @ self.metric) * self._cared, alpha=-1)
        left = torch.ones(len(self.weights), dtype=torch.bool)
        left[index] = False
        gone = len(index) + int((self._rows < 0).sum())
        self.inverse.addmm_(columns, solved[:, count:], alpha=-1)
        self.weights[index] = 0
        self._weighed[index] = 0
        self._rows[index] = -1
        if 4 * gone > len(self.weights):
            self._shrink()

    def _shrink(self) -> None:
        """Drop the rows of features that have gone, so that what is left costs less."""
        left = (self._rows >= 0).nonzero().reshape(-1)
        place = torch.full((len(self._rows),), -1)
        place[left] = torch.arange(len(left))
        self.inverse = self.inverse[left][:, left].contiguous()
        self.weights, self._weighed, self._rows = self.weights[left], self._weighed[left], self._rows[left]
        self.features = {s: place[index] for s, index in self.features.items()}

    def silence(self, chosen: int) -> None:
        """Stop caring for the output channels of a group that is gone."""
        gone = (self.outputs == chosen) & (self._cared > 0)
        if gone.any():
            self._weighed.addmm_(self.weights[:, gone], self.metric[gone] * self._cared, alpha=-1)
            self._weighed[:, gone] = 0
            self._cared[gone] = 0
            self._since += 1

    def cheapest_half(self) -> "Reconstruction":
        """Return a copy that has lost half of its groups, those that cost it least, in at most `LOOKS` steps or so."""
        half = self.copy()
        for_now = left = len(self.features) // 2
        while left:
            for_now = min(left, half._lot())
            costs = half.costs()
            for chosen in sorted(costs, key=costs.__getitem__)[:for_now]:
                half.remove(chosen)
            left -= for_now
        half._work_in()
        return half


def owned_features(
    in_groups: NDArray[np.int64], features: int, groups: int, movable: NDArray[np.bool_]
) -> list[dict[int, Tensor]]:
    """Return for each group of a layer which of its features each channel group owns; what may not be cut owns none."""
    found = []
    for own in in_groups.reshape(groups, -1):
        each = features // own.size
        found.append(
            {
                int(s): torch.from_numpy((np.flatnonzero(own == s)[:, None] * each + np.arange(each)).reshape(-1))
                for s in np.unique(own)
                if s >= 0 and movable[s]
            }
        )
    return found


def make_reconstructions(
    path: str,
    layer: WeightedLayer,
    in_groups: NDArray[np.int64],
    out_groups: NDArray[np.int64],
    gram: Tensor,
    metric: Tensor,
    ridge: float,
    movable: NDArray[np.bool_],
) -> list[Reconstruction]:
    """Return a layer's reconstructions, one per group, from its mean products `[groups, F (+ 1), F (+ 1)]`.

    `metric` is `[Q, Q]` over all outputs. Groups that may not be cut own no features: they can only help. The Gram
    matrix is used up.
    """
    weights = weight_matrix(layer)
    groups, features, outputs = weights.shape
    bias = gram.shape[1] - features
    found = []
    for g, owned in enumerate(owned_features(in_groups, features, groups, movable)):
        diagonal = gram[g].diagonal()
        diagonal += float(ridge * diagonal[:features].mean() + 1e-12)
        rows = slice(g * outputs, (g + 1) * outputs)
        padded = torch.cat([weights[g], weights.new_zeros(bias, outputs)])
        of = torch.from_numpy(out_groups[rows].copy())
        found.append(Reconstruction(path, torch.linalg.inv(gram[g]), padded, metric[rows, rows], owned, of))
    return found


def make_independent(
    path: str,
    layer: WeightedLayer,
    owned: dict[int, Tensor],
    out_groups: NDArray[np.int64],
    blocks: dict[int, Tensor],
    metric: Tensor,
    ridge: float,
) -> list[Reconstruction]:
    """Return a reconstruction for each channel group that a very wide layer reads, as if it were read alone.

    `blocks` holds each group's own Gram matrix (mean over rows): what others could make up for is left out.
    """
    (weights,) = weight_matrix(layer)
    level = ridge * float(torch.cat([block.diagonal() for block in blocks.values()]).mean()) + 1e-12
    of = torch.from_numpy(out_groups.copy())
    found = []
    for chosen, index in owned.items():
        inverse = torch.linalg.inv(blocks[chosen] + level * torch.eye(len(index), dtype=torch.float64))
        own = {chosen: torch.arange(len(index))}
        found.append(Reconstruction(path, inverse, weights[index], metric, own, of))
    return found

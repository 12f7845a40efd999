"""Readers' normal equations, and what each channel group's loss costs them once they have been fitted anew.

The optimal-brain-surgeon rule on groups of features: with H the inverse of a reader's regularised normal matrix and w
the weights of a group's features, the loss after the best refit without them is larger by tr(w' (H_ss)^-1 w), weighed
by how much each output channel matters to the task's logits.
"""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.capture.layers import WeightedLayer
from modellego.leastsquares import weight_matrix

Floats = NDArray[np.float64]
LOOKS = 64  # a share of the groups left, of inputs or of outputs, that goes between two looks at the costs


class Lots:
    """Counts what has gone since the costs were looked at: one in `LOOKS` of the inputs or outputs left is enough.

    >>> lots = Lots(130, 64)
    >>> lots.input_gone(), lots.due, lots.input_gone(), lots.due
    (False, False, True, True)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        self._inputs, self._outputs = inputs, outputs
        self._since = 0.0
        self.waiting = 0

    @property
    def size(self) -> int:
        """How many inputs go together."""
        return max(1, self._inputs // LOOKS)

    @property
    def due(self) -> bool:
        """Whether enough has gone since the last look."""
        return self._since > 1 - 1e-9

    def input_gone(self) -> bool:
        """Count an input group, and return whether as many wait as go together."""
        self._inputs -= 1
        self._since += 1 / self.size
        self.waiting += 1
        return self.waiting >= self.size

    def output_gone(self) -> None:
        """Count an output group."""
        self._since += 1 / max(1, self._outputs // LOOKS)
        self._outputs -= 1

    def looked(self) -> None:
        """Start counting anew."""
        self._since = 0.0


class Reconstruction:
    """How well the inputs left of one group of a layer still give its outputs, while channel groups go.

    `inverse` float64 [F, F] of the normal matrix and `weights` [F, Q] change as groups go; `metric` [Q, Q] is the
    logits' sensitivity to the outputs. `features` names each channel group's rows, `outputs` [Q] the channel group of
    each output. `scale` turns the `loss` into measured harm. In wide layers a few removals wait and are worked in
    together; until then `loss` is foretold.
    """

    def __init__(
        self,
        inverse: Tensor,
        weights: Tensor,
        metric: Tensor,
        features: Mapping[int, Tensor],
        outputs: Tensor,
    ) -> None:
        self.inverse, self.weights, self.metric = inverse, weights, metric
        self.features, self.outputs = dict(features), outputs
        self.scale, self.loss = 1.0, 0.0
        self.groups = np.array(list(features), dtype=np.int64)
        self._place = {int(s): i for i, s in enumerate(self.groups)}
        self._left = np.ones(len(self.groups), dtype=np.bool_)
        self._sizes = by_size(self.groups, features)
        self._columns = rows_by_number(outputs.numpy())
        self._cared = torch.ones(len(outputs), dtype=torch.float64)  # 0 for outputs that are gone
        self._rows = torch.arange(len(weights))  # which rows of the whole layer are left, -1 for those that are not
        self._now = torch.arange(len(weights))  # where each row of the whole layer is now, if it is left
        self._rows_gone = self._columns_gone = 0
        self._lots = Lots(len(self.groups), len(self._columns))
        self._costs: Floats | None = None
        self._foretold = 0.0
        self._waiting: list[Tensor] = []
        self._silenced: list[Tensor] = []

    @property
    def makes(self) -> list[int]:
        """The channel groups of its outputs."""
        return list(self._columns)

    def _copy(self) -> "Reconstruction":
        """Return a copy that can be eliminated from without touching this one, as long as nothing has gone."""
        return Reconstruction(self.inverse.clone(), self.weights.clone(), self.metric, self.features, self.outputs)

    def whole_weights(self) -> Tensor:
        """Return the weights with a row for each feature of the layer, 0 where it has gone; no output may have gone."""
        self._work_in()
        whole = self.weights.new_zeros(len(self._now), self.weights.shape[1])
        left = self._rows >= 0
        whole[self._rows[left]] = self.weights[left]
        return whole

    def costs(self) -> Floats:
        """Return the cost of each of `groups`, worked out anew once enough has gone; of those gone it means nothing.

        An array that has been returned is never changed: as long as it is the same one, nothing is new.
        """
        if self._costs is None or self._lots.due:
            self._work_in()
            self._costs = self._work_out()
            self._lots.looked()
        return self._costs

    @cached_property
    def _weighed(self) -> Tensor:
        """The weights, by the metric of the outputs that are left; made when first needed, and kept up to date."""
        return self.weights @ self.metric

    def _work_out(self) -> Floats:
        found = np.zeros(len(self.groups))
        for i, (places, features) in enumerate(self._sizes):
            left = self._left[places]
            self._sizes[i] = here, own = places[left], features[torch.from_numpy(left)]
            index = self._now[own]
            if index.shape[1] == 1:
                values = (_row_products(self._weighed, self.weights) / self.inverse.diagonal())[index[:, 0]]
            else:
                inner = self.inverse[index[:, :, None], index[:, None, :]]
                values = torch.linalg.solve(inner, self._products(index)).diagonal(dim1=1, dim2=2).sum(1)
            found[here] = values.numpy()
        return found

    def _products(self, index: Tensor) -> Tensor:
        """Return each group's weights times its weighed weights, `[groups, size, size]`."""
        parts = [self.weights[i] @ self._weighed[i].transpose(1, 2) for i in torch.split(index, 64)]
        return torch.cat(parts)

    def remove(self, chosen: int) -> None:
        """Take a group's features out: the rest are refitted, and the loss grows by the group's cost."""
        place = self._place.get(chosen)
        if place is None or not self._left[place]:
            return
        self._left[place] = False
        self._waiting.append(self.features[chosen])
        enough = self._lots.input_gone()
        if self._costs is None or enough:
            self._work_in()
        else:
            known = float(self._costs[place])
            self.loss += known
            self._foretold += known

    def silence(self, chosen: int) -> None:
        """Stop caring for the output channels of a group that is gone."""
        if chosen in self._columns:
            self._silenced.append(self._columns.pop(chosen))
            self._lots.output_gone()

    def _work_in(self) -> None:
        """Take out what waits, all at once, and set the loss right."""
        if self._silenced:
            gone = torch.cat(self._silenced)
            self._silenced.clear()
            self._weighed.addmm_(self.weights[:, gone], self.metric[gone] * self._cared, alpha=-1)
            self._weighed[:, gone] = 0
            self._cared[gone] = 0
            self._columns_gone += len(gone)
        if self._waiting:
            self._eliminate(self._now[torch.cat(self._waiting)])
            self._waiting.clear()
            self._lots.waiting = 0
        if 4 * self._rows_gone > len(self._rows):
            self._drop_rows()
        if 4 * self._columns_gone > len(self._cared):
            self._drop_columns()

    def _eliminate(self, index: Tensor) -> None:
        rows, count = self.inverse[index], self.weights.shape[1]  # as good as columns: the inverse is symmetric
        solved = torch.linalg.solve(rows[:, index], torch.cat([self.weights[index], rows], 1))
        step = solved[:, :count]
        self.loss += float((self._weighed[index] * step).sum()) - self._foretold
        self._foretold = 0.0
        self.weights.addmm_(rows.T, step, alpha=-1)
        self._weighed.addmm_(rows.T, ((step * self._cared) @ self.metric) * self._cared, alpha=-1)
        self.inverse.addmm_(rows.T, solved[:, count:], alpha=-1)
        self.weights[index] = 0
        self._weighed[index] = 0
        self._rows[index] = -1
        self._rows_gone += len(index)

    def _drop_rows(self) -> None:
        """Drop the rows of features that have gone, so that what is left costs less."""
        left = (self._rows >= 0).nonzero().reshape(-1)
        self.inverse = self.inverse[left[:, None], left]
        self.weights, self._weighed, self._rows = self.weights[left], self._weighed[left], self._rows[left]
        self._now[self._rows] = torch.arange(len(left))
        self._rows_gone = 0

    def _drop_columns(self) -> None:
        """Drop the outputs that have gone."""
        left = self._cared.nonzero().reshape(-1)
        place = torch.full((len(self._cared),), -1)
        place[left] = torch.arange(len(left))
        self.metric = self.metric[left][:, left].contiguous()
        self.weights, self._weighed = self.weights[:, left].contiguous(), self._weighed[:, left].contiguous()
        self._cared, self._columns_gone = self._cared[left], 0
        self._columns = {s: place[index] for s, index in self._columns.items()}

    def cheapest_half(self) -> tuple[float, Tensor]:
        """Return the loss without half of the groups, those that cost it least, and the weights `[F, Q]` refitted then.

        They go in at most `LOOKS` steps or so, from a copy.
        """
        half = self._copy()
        wanted = len(self.groups) // 2
        while wanted:
            costs = np.where(half._left, half.costs(), np.inf)
            now = min(wanted, half._lots.size)
            for place in np.argsort(costs, kind="stable")[:now]:
                half.remove(int(self.groups[place]))
            wanted -= now
        half._work_in()
        return half.loss, half.whole_weights()


def by_size(groups: NDArray[np.int64], features: Mapping[int, Tensor]) -> list[tuple[NDArray[np.int64], Tensor]]:
    """Return for each size of channel group which of `groups` have it, and their features `[those groups, size]`.

    >>> by_size(np.array([7, 4]), {7: torch.tensor([0, 2]), 4: torch.tensor([1, 3])})
    [(array([0, 1]), tensor([[0, 2],
            [1, 3]]))]
    """
    sizes: dict[int, list[int]] = {}
    for place, chosen in enumerate(groups.tolist()):
        sizes.setdefault(len(features[chosen]), []).append(place)
    return [(np.array(own), torch.stack([features[int(groups[i])] for i in own])) for own in sizes.values()]


def _row_products(a: Tensor, b: Tensor) -> Tensor:
    """Return the sum of products of each row, without holding all products."""
    return torch.bmm(a[:, None, :], b[:, :, None]).reshape(-1)


def rows_by_number(numbers: NDArray[np.int64]) -> dict[int, Tensor]:
    """Return for each number of at least 0 where it stands, int64 each.

    >>> rows_by_number(np.array([4, -1, 2, 4]))
    {2: tensor([2]), 4: tensor([0, 3])}
    """
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    parts = np.split(order, starts[1:])
    return {int(s): torch.from_numpy(part) for s, part in zip(found, parts, strict=True) if s >= 0}


def owned_features(
    in_groups: NDArray[np.int64], features: int, groups: int, movable: NDArray[np.bool_]
) -> list[dict[int, Tensor]]:
    """Return for each group of a layer which of its features each channel group owns; what may not be cut owns none."""
    found = []
    for own in in_groups.reshape(groups, -1):
        each = features // own.size
        found.append(
            {
                s: (where[:, None] * each + torch.arange(each)).reshape(-1)
                for s, where in rows_by_number(own).items()
                if movable[s]
            }
        )
    return found


def make_reconstructions(
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
        found.append(Reconstruction(inverse_of(gram[g]), padded, metric[rows, rows], owned, of))
    return found


def inverse_of(matrix: Tensor) -> Tensor:
    """Return the inverse of a symmetric matrix `[F, F]` that rounding may have left not quite positive.

    >>> inverse_of(torch.tensor([[2.0, 1.0], [1.0, 1.0]])).round()
    tensor([[ 1., -1.],
            [-1.,  2.]])
    """
    lower, trouble = torch.linalg.cholesky_ex(matrix)
    return torch.linalg.inv(matrix) if trouble else torch.cholesky_inverse(lower)

"""What channel groups are worth to a layer so wide that each is taken to stand alone: their square would not fit."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.capture.layers import WeightedLayer
from modellego.locate.reconstruction import Lots, by_size, rows_by_number

Floats = NDArray[np.float64]
WIDE = 5_000  # features beyond which each channel group is taken to stand alone
BLOCK = 512  # outputs weighed together


class Independent:
    """A layer's channel groups, each as if it were read alone; used like a `Reconstruction`.

    `features` names each channel group's features, `blocks` their mean products `[size, size]`, `outputs` [Q] the
    channel group of each output; `metric` [Q, Q] is the logits' sensitivity to the outputs, `level` the ridge. The
    layer's weights are read in place and in their own precision. Groups that go change nothing for the others.
    """

    def __init__(
        self,
        layer: WeightedLayer,
        features: Mapping[int, Tensor],
        blocks: Mapping[int, Tensor],
        outputs: Tensor,
        metric: Tensor,
        ridge: float,
    ) -> None:
        self.features = dict(features)
        self.groups = np.array(list(features), dtype=np.int64)
        self.scale, self.loss = 1.0, 0.0
        self._place = {int(s): i for i, s in enumerate(self.groups)}
        self._columns = rows_by_number(outputs.numpy())
        self._weight = layer.weight.detach().cpu().flatten(1)
        self._metric = metric.to(self._weight.dtype, copy=True)
        level = ridge * float(torch.cat([block.diagonal() for block in blocks.values()]).mean()) + 1e-12
        # for each size of group: which of `groups`, their features, their regularised products, and W metric W'
        self._sizes = [
            (
                places,
                index,
                torch.stack([blocks[int(self.groups[i])] for i in places])
                + level * torch.eye(index.shape[1], dtype=torch.float64),
                torch.zeros(len(index), index.shape[1], index.shape[1], dtype=torch.float64),
            )
            for places, index in by_size(self.groups, features)
        ]
        for first in range(0, len(self._metric), BLOCK):
            part = slice(first, first + BLOCK)
            weighed = self._metric[part] @ self._weight
            for _, index, _, products in self._sizes:
                products.add_(_outer(self._weight[part], weighed, index))
        self._lots = Lots(len(self.features), len(self._columns))
        self._costs: Floats | None = None
        self._silenced: list[Tensor] = []

    def costs(self) -> Floats:
        """Return the cost of each of `groups`, worked out anew once enough has gone; of those gone it means nothing."""
        if self._costs is None or self._lots.due:
            self._work_in()
            self._costs = np.zeros(len(self.groups))
            for places, _, own, products in self._sizes:
                # X'X times W metric W': what the group gives, which nothing else makes up for
                self._costs[places] = (own * products).sum((1, 2)).numpy()
            self._lots.looked()
        return self._costs

    @property
    def makes(self) -> list[int]:
        """The channel groups of its outputs."""
        return list(self._columns)

    def cheapest_half(self) -> tuple[float, Tensor]:
        """Return the loss without half of the groups, those that cost it least, and the weights `[F, Q]` left then."""
        costs, weights = self.costs(), self._weight.T.clone()
        cheapest = np.argsort(costs, kind="stable")[: len(costs) // 2]
        for place in cheapest:
            weights[self.features[int(self.groups[place])]] = 0
        return float(costs[cheapest].sum()), weights

    def remove(self, chosen: int) -> None:
        """Take a group's features out: the loss grows by the group's cost."""
        if self.features.pop(chosen, None) is not None:
            self.loss += float(self.costs()[self._place[chosen]])
            self._lots.input_gone()

    def silence(self, chosen: int) -> None:
        """Stop caring for the output channels of a group that is gone."""
        if chosen in self._columns:
            self._silenced.append(self._columns.pop(chosen))
            self._lots.output_gone()

    def _work_in(self) -> None:
        """Leave out the outputs that have gone: their rows and columns of the metric are 0 from now on."""
        if not self._silenced or not self.features:
            return
        gone = torch.cat(self._silenced)
        self._silenced.clear()
        weights = self._weight[gone]
        # W' M W - W' M' W, with M' the metric without `gone`: twice the rows that go, but once where they meet
        rows = self._metric[gone]
        rows[:, gone] /= 2
        weighed = rows @ self._weight
        for _, index, _, products in self._sizes:
            change = _outer(weights, weighed, index)
            products.sub_(change + change.transpose(1, 2))
        self._metric[gone] = 0
        self._metric[:, gone] = 0


def _outer(weights: Tensor, weighed: Tensor, index: Tensor) -> Tensor:
    """Return `w' v` for the features of each group, `[groups, size, size]`, of weights and weighed ones `[Q, F]`."""
    return (weights[:, index].permute(1, 2, 0) @ weighed[:, index].permute(1, 0, 2)).double()

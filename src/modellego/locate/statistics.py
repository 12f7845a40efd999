"""What a ranking gathers of a layer's inputs over all images: mean products of its features, added up in float64."""

import torch
from torch import Tensor

from modellego.capture.layers import WeightedLayer
from modellego.leastsquares import NormalEquations, input_rows, per_image, pick_positions, weight_matrix

BLOCK = 1024  # rows that are multiplied together: few large products are faster than many small ones
WORK = 60_000_000_000  # multiplications that a layer's products may take, but for two rows a feature


class LayerStatistics:
    """The Gram matrix of what a layer reads at sampled positions; or, with `owned`, that of each channel group alone.

    About `rows` positions are sampled of all `images`, fewer where features are many. `owned` names the features of
    each channel group of a layer that is too wide for the square of them all.
    """

    def __init__(self, layer: WeightedLayer, owned: dict[int, Tensor] | None, rows: int, images: int) -> None:
        self.layer, self.owned = layer, owned
        groups, features, _ = weight_matrix(layer).shape
        most = max(2 * features, min(rows, WORK // features**2)) if owned is None else rows
        self._wanted = max(1, most // images)
        self._waiting: list[Tensor] = []
        self._rows = 0
        self._equations = None if owned is not None else NormalEquations(groups, features, 0, bias=True)
        self._blocks = {s: torch.zeros(len(i), len(i), dtype=torch.float64) for s, i in (owned or {}).items()}

    def add(self, x: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> None:
        """Add some images' input of one call, whose output has a `shape`."""
        positions = pick_positions(len(x), per_image(self.layer, shape), self._wanted, generator)
        self._waiting.append(input_rows(self.layer, x, tuple(shape[2:]), positions).float())
        if sum(rows.shape[1] for rows in self._waiting) >= BLOCK:
            self._work_in()

    def gram(self) -> Tensor:
        """Return the mean products `[groups, F + 1, F + 1]`, a column of ones last."""
        self._work_in()
        assert self._equations is not None
        return self._equations.gram.div_(max(self._equations.rows, 1))

    def blocks(self) -> dict[int, Tensor]:
        """Return each channel group's own mean products."""
        self._work_in()
        return {s: block / max(self._rows, 1) for s, block in self._blocks.items()}

    def _work_in(self) -> None:
        if not self._waiting:
            return
        rows = torch.cat(self._waiting, 1)
        self._waiting.clear()
        self._rows += rows.shape[1]
        if self._equations is not None:
            self._equations.add_inputs(rows)
        for s, index in (self.owned or {}).items():
            own = rows[0][:, index]
            self._blocks[s] += own.T @ own

"""What a ranking gathers of a layer's inputs over all images: mean products of its features, in float64."""

import torch
from torch import Tensor

from modellego.capture.layers import WeightedLayer
from modellego.distributed import summed
from modellego.leastsquares import add_products, input_rows, per_image, pick_positions, weight_matrix

BLOCK = 1024  # rows that are multiplied together: few large products are faster than many small ones
WORK = 60_000_000_000  # multiplications that a layer's products may take, but for two rows a feature


class Products:
    """Sums of products `X'X` `[groups, F, F]` over rows, float64; rows wait until there are enough of them.

    >>> products = Products(1, 2)
    >>> products.add(torch.tensor([[[1.0, 2.0]]]))
    >>> products.add(torch.tensor([[[3.0, 0.0]]]))
    >>> products.total(), products.rows
    (tensor([[[10.,  2.],
             [ 2.,  4.]]], dtype=torch.float64), 2)
    """

    def __init__(self, groups: int, features: int) -> None:
        self.rows = 0
        self._total = torch.zeros(groups, features, features, dtype=torch.float64)
        self._waiting: list[Tensor] = []

    def add(self, rows: Tensor) -> None:
        """Add rows `[groups, M, F]`."""
        self.rows += rows.shape[1]
        self._waiting.append(rows)
        if sum(waiting.shape[1] for waiting in self._waiting) >= BLOCK:
            self._work_in()

    def total(self) -> Tensor:
        """Return the sums of all processes, to be changed as one likes; asked for once, when all rows are in."""
        self._work_in()
        rows = torch.tensor(self.rows)
        summed(self._total, rows)
        self.rows = int(rows)
        return self._total

    def _work_in(self) -> None:
        if self._waiting:
            rows = torch.cat(self._waiting, 1)
            self._waiting.clear()
            for block in torch.split(rows, 4 * BLOCK, 1):
                add_products(self._total, block)


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
        self._products = Products(groups, features + 1) if owned is None else None
        self._waiting: list[Tensor] = []
        self._rows = 0
        self._blocks = {s: torch.zeros(len(i), len(i), dtype=torch.float64) for s, i in (owned or {}).items()}

    def add(self, x: Tensor, shape: tuple[int, ...], numbers: Tensor, seed: int) -> None:
        """Add the input of images `numbers` (int64 `[B]`) at one call, whose output has a `shape`."""
        positions = pick_positions(numbers, per_image(self.layer, shape), self._wanted, seed)
        rows = input_rows(self.layer, x, tuple(shape[2:]), positions).float()
        if self._products is not None:
            self._products.add(torch.cat([rows, rows.new_ones(*rows.shape[:2], 1)], 2))
            return
        self._waiting.append(rows)
        if sum(rows.shape[1] for rows in self._waiting) >= BLOCK:
            self._work_in()

    def gram(self) -> Tensor:
        """Return the mean products `[groups, F + 1, F + 1]`, a column of ones last."""
        assert self._products is not None
        total = self._products.total()
        return total.div_(max(self._products.rows, 1))

    def blocks(self) -> dict[int, Tensor]:
        """Return each channel group's own mean products; to be asked for once."""
        self._work_in()
        rows = torch.tensor(self._rows)
        summed(*self._blocks.values(), rows)
        self._rows = int(rows)
        return {s: block / max(self._rows, 1) for s, block in self._blocks.items()}

    def _work_in(self) -> None:
        if not self._waiting:
            return
        rows = torch.cat(self._waiting, 1)
        self._waiting.clear()
        self._rows += rows.shape[1]
        for s, index in (self.owned or {}).items():
            own = rows[0][:, index].double()
            self._blocks[s] += own.T @ own

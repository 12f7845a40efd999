"""One ranking of all channel groups, and the curve of networks along it: every budget is a point of one pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modellego.channels.channel_map import ChannelMap, KeepMask
from modellego.errors import CutError
from modellego.locate.costs import CostModel

Floats = NDArray[np.float64]
ROUNDING = 1e-6  # of a ratio: what batches, threads and processes may change
LOOKS = 768  # how often, about, the savings are looked at anew along a ranking; in small networks at every removal


class RemovableGroups:
    """Knows which channel groups may still go: no tensor may lose its last one.

    >>> from modellego.channels.channel_map import ChannelMap
    >>> removable = RemovableGroups(ChannelMap({"a": np.array([[0, 1]])}, {}, 2, np.ones(2, bool), [], {}, {}, None))
    >>> removable.remove(0)
    >>> removable.allowed().tolist()
    [False, False]
    """

    def __init__(self, channels: ChannelMap) -> None:
        self._tensors = channels.tensors()
        self._left = np.array([len(t) for t in self._tensors], dtype=np.int64)
        self._of: list[list[int]] = [[] for _ in range(channels.n_groups)]
        for i, sets in enumerate(self._tensors):
            for s in sets.tolist():
                self._of[s].append(i)
        self._free = channels.cuttable.copy()
        if channels.logit_groups is not None:
            self._free[channels.logit_groups] = False
        for i in range(len(self._tensors)):
            self._close(i)

    def _close(self, tensor: int) -> None:
        if self._left[tensor] <= 1:
            self._free[self._tensors[tensor]] = False

    def allowed(self) -> NDArray[np.bool_]:
        """Return which groups may be removed next."""
        return self._free

    def remove(self, chosen: int) -> None:
        """Note that a group is gone."""
        self._free[chosen] = False
        for tensor in self._of[chosen]:
            self._left[tensor] -= 1
            self._close(tensor)


@dataclass(frozen=True)
class Curve:
    """The order in which groups go, and what is left after each: point 0 is whole, point k has lost `order[:k]`.

    `order` int64 [K]; `macs`, `parameters` int64 [K + 1]; `loss` float64 [K + 1], the criterion's own estimate of the
    harm (for scores: their sum); `whole_macs`, `whole_parameters` are those of the source with all its logits.
    """

    channels: ChannelMap
    order: NDArray[np.int64]
    macs: NDArray[np.int64]
    parameters: NDArray[np.int64]
    loss: Floats
    whole_macs: int
    whole_parameters: int
    costs: CostModel = field(repr=False)
    tied: tuple[bool, ...] = ()  # of each removal, whether another group was its equal but for rounding

    def __len__(self) -> int:
        return len(self.order) + 1

    def near_ties(self, keep: KeepMask) -> int:
        """Return how many groups of a mask of this curve were decided by less than rounding: 1, or 0."""
        point = int((~keep[self.order]).sum())
        return int(0 < point <= len(self.tied) and self.tied[point - 1])

    def keep(self, point: int, round_to: int = 1) -> KeepMask:
        """Return the mask at a point; with `round_to`, channel counts rounded to multiples of it where possible."""
        mask = self.channels.keep_all()
        mask[self.order[:point]] = False
        if round_to > 1:
            rank = np.full(self.channels.n_groups, len(self.order))
            rank[self.order] = np.arange(len(self.order))
            for family in families(self.channels):
                _round(mask, family, rank, round_to)
        return mask

    def at(self, *, macs: float | None = None, parameters: float | None = None, round_to: int = 1) -> KeepMask:
        """Return the mask of the first point within shares of the source's MACs and parameters, both if both are given.

        Raises `CutError` where a share is out of range, or too small to be reached.
        """
        for name, share in (("macs", macs), ("parameters", parameters)):
            if share is not None and not 0 < share <= 1:
                raise CutError(f"the budget {name}={share:g} is out of range: give a share above 0 and at most 1")
        inside = np.ones(len(self), dtype=np.bool_)
        if macs is not None:
            inside &= self.macs <= macs * self.whole_macs
        if parameters is not None:
            inside &= self.parameters <= parameters * self.whole_parameters
        if not inside.any():
            raise CutError(self._too_small(macs, parameters))
        first = int(np.argmax(inside))
        if round_to <= 1:
            return self.keep(first)
        for point in range(first, len(self)):
            mask = self.keep(point, round_to)
            fits = macs is None or self.costs.macs(mask) <= macs * self.whole_macs
            if fits and (parameters is None or self.costs.parameters(mask) <= parameters * self.whole_parameters):
                return mask
        raise CutError(f"with channel counts rounded to {round_to}, {self._too_small(macs, parameters)}")

    def _too_small(self, macs: float | None, parameters: float | None) -> str:
        shares = self.macs[-1] / self.whole_macs, self.parameters[-1] / self.whole_parameters
        least = f"{shares[0]:.3f} MACs, {shares[1]:.3f} parameters"
        asked = (("macs", macs), ("parameters", parameters))
        given = [f"{name}={share:g}" for name, share in asked if share is not None]
        return f"the budget {', '.join(given)} cannot be met: the smallest network has {least} of the source"

    def search(self, fits: Callable[[KeepMask], bool], round_to: int = 1, steps: int = 6) -> KeepMask:
        """Return the smallest network along the curve that `fits`, by bisection over MACs (latency, accuracy drop).

        `fits` is taken to hold up to some point of the curve and not beyond (`steps` evaluations of it); for a limit
        that only small networks keep, such as latency, see `search_largest`.
        """
        low, high = 0, len(self) - 1
        best = self.keep(0, round_to)
        for _ in range(steps):
            middle = self._between(low, high)
            mask = self.keep(middle, round_to)
            if fits(mask):
                low, best = middle, mask
            else:
                high = middle
            if high - low <= 1:
                break
        return best

    def search_largest(self, fits: Callable[[KeepMask], bool], round_to: int = 1, steps: int = 6) -> KeepMask:
        """Return the largest network along the curve that `fits`, where small ones do (latency).

        Raises `CutError` where not even the smallest fits.
        """
        low, high = 0, len(self) - 1
        best = self.keep(high, round_to)
        if not fits(best):
            raise CutError("even the smallest network on the curve is over the limit: loosen it")
        for _ in range(steps):
            middle = self._between(low, high)
            mask = self.keep(middle, round_to)
            if fits(mask):
                high, best = middle, mask
            else:
                low = middle
            if high - low <= 1:
                break
        return best

    def _between(self, low: int, high: int) -> int:
        wanted = (self.macs[low] + self.macs[high]) / 2
        return int(np.clip(np.searchsorted(-self.macs, -wanted), low + 1, max(high - 1, low + 1)))


def families(channels: ChannelMap) -> list[NDArray[np.int64]]:
    """Gather the cuttable groups that occur in exactly the same tensors: their number is one channel count."""
    member: dict[int, list[int]] = {}
    for i, sets in enumerate(channels.tensors()):
        for s in sets.tolist():
            member.setdefault(s, []).append(i)
    groups: dict[tuple[int, ...], list[int]] = {}
    pinned = set() if channels.logit_groups is None else set(channels.logit_groups.tolist())
    for s, where in member.items():
        if channels.cuttable[s] and s not in pinned:
            groups.setdefault(tuple(where), []).append(s)
    return [np.array(g, dtype=np.int64) for g in groups.values()]


def _round(mask: KeepMask, family: NDArray[np.int64], rank: NDArray[np.int64], round_to: int) -> None:
    """Round one family's number of kept groups: the last that went come back, or the next to go go."""
    kept = int(mask[family].sum())
    wanted = round(kept / round_to) * round_to
    wanted = min(max(wanted, round_to), len(family))
    by_worth = family[np.argsort(-rank[family], kind="stable")]
    mask[by_worth[:wanted]] = True
    mask[by_worth[wanted:]] = False


def rank_by_scores(
    costs: CostModel, channels: ChannelMap, scores: Floats, whole: tuple[int, int], per: str = "macs"
) -> Curve:
    """Rank all cuttable groups by score per MAC (or per parameter) saved, the least first, and walk down the ranking.

    `scores` float64 [n_groups], higher is better, none below 0; savings are looked at anew as the network shrinks.
    `whole` is the uncut source's MACs and parameters.
    """
    keep = channels.keep_all()
    removable = RemovableGroups(channels)
    count = int(removable.allowed().sum())
    order: list[int] = []
    tied: list[bool] = []
    loss = [0.0]
    every = max(1, count // LOOKS)
    while removable.allowed().any():
        if len(order) % every == 0:
            saving = costs.saving(keep, per)
        ratio = np.where(removable.allowed(), (scores + 1e-12) / np.maximum(saving, 1e-9), np.inf)
        chosen = int(np.argmin(ratio))
        removable.remove(chosen)
        keep[chosen] = False
        order.append(chosen)
        tied.append(is_tied(ratio))
        loss.append(loss[-1] + float(scores[chosen]))
    return make_curve(costs, channels, order, loss, whole, tied)


def is_tied(ratio: Floats) -> bool:
    """Return whether the smallest of some ratios has an equal but for rounding.

    >>> is_tied(np.array([3.0, 1.0, 1.0 + 1e-9])), is_tied(np.array([3.0, 1.0, 1.1]))
    (True, False)
    """
    if len(ratio) < 2:
        return False
    first, second = np.partition(ratio, 1)[:2]
    return bool(np.isfinite(second) and second - first <= ROUNDING * abs(second))


def make_curve(
    costs: CostModel,
    channels: ChannelMap,
    order: list[int],
    loss: list[float],
    whole: tuple[int, int],
    tied: Sequence[bool] = (),
) -> Curve:
    """Work out the costs of every point of an order of removals."""
    macs, parameters = costs.along(order)
    return Curve(
        channels,
        np.array(order, dtype=np.int64),
        np.array(macs),
        np.array(parameters),
        np.array(loss),
        *whole,
        costs,
        tuple(tied),
    )

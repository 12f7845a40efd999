"""A budget: what the user wants the brick to cost, or how much accuracy it may lose."""

from collections.abc import Callable
from dataclasses import dataclass

from modellego.channels.channel_map import KeepMask
from modellego.errors import CutError
from modellego.locate.curve import Curve

Measure = Callable[[KeepMask], float]


@dataclass(frozen=True)
class Budget:
    """Limits of a brick; all that are given must hold.

    `macs`, `parameters`, `latency`: shares of the source's, above 0 and at most 1. `max_drop`: by how much (0.01 is one
    point) accuracy on held-out calibration images may fall below the source's restricted to the task; the smallest
    such brick is taken. `round_to`: channel counts are rounded to multiples of it where they can be.
    """

    macs: float | None = None
    parameters: float | None = None
    latency: float | None = None
    max_drop: float | None = None
    round_to: int = 1

    def __post_init__(self) -> None:
        for name in ("macs", "parameters", "latency"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise CutError(f"the budget {name}={share:g} is out of range: give a share above 0 and at most 1")
        if self.max_drop is not None and not 0 <= self.max_drop < 1:
            raise CutError(f"max_drop={self.max_drop:g} is out of range: 0.01 stands for one point of accuracy")
        if self.round_to < 1:
            raise CutError(f"channel counts cannot be rounded to multiples of {self.round_to}")

    @property
    def given(self) -> bool:
        """Whether any limit is set."""
        return any(v is not None for v in (self.macs, self.parameters, self.latency, self.max_drop))

    def apply(self, curve: Curve, *, latency: Measure | None = None, drop: Measure | None = None) -> KeepMask:
        """Return the mask on a curve that the budget asks for.

        `latency(keep)` gives the cut network's latency as a share of the source's; `drop(keep)` its loss of accuracy on
        held-out images, after cut and refit. They are called a few times (bisection), and only where needed. With
        `max_drop` beside other limits, the smallest network within the drop is taken and must keep the others.

        Raises `CutError` where the limits cannot be met.
        """
        if self.max_drop is not None:
            if drop is None:
                raise CutError("max_drop needs held-out images to measure accuracy on")
            worst = self.max_drop
            keep = curve.search(lambda k: drop(k) <= worst, self.round_to)
            self._check(curve, keep, latency)
            return keep
        keep = curve.at(macs=self.macs, parameters=self.parameters, round_to=self.round_to)
        if self.latency is not None:
            if latency is None:
                raise CutError("a latency budget needs something to measure latency with")
            limit = self.latency
            if latency(keep) > limit:
                keep = curve.search_largest(lambda k: self._inside(curve, k) and latency(k) <= limit, self.round_to)
        return keep

    def _inside(self, curve: Curve, keep: KeepMask) -> bool:
        limits = (
            (self.macs, curve.costs.macs, curve.whole_macs),
            (self.parameters, curve.costs.parameters, curve.whole_parameters),
        )
        return all(share is None or spent(keep) <= share * whole for share, spent, whole in limits)

    def _check(self, curve: Curve, keep: KeepMask, latency: Measure | None) -> None:
        late = self.latency is not None and latency is not None and latency(keep) > self.latency
        if late or not self._inside(curve, keep):
            raise CutError(f"no brick keeps both max_drop={self.max_drop:g} and the other limits: loosen one of them")

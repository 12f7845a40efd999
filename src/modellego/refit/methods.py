"""Repairs by name: refits of a cut network by functions from outside the package (docs/extending.md)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from modellego.capture.network import Network
from modellego.cut import CutPlan
from modellego.data.chunks import Batches, NetworkInput
from modellego.errors import CutError
from modellego.refit.report import RefitReport, StageError
from modellego.registry import Registry

LEAST_SQUARES = "least_squares"


@dataclass(frozen=True)
class RefitRequest:
    """A cut network to repair, in place: `plan` holds the uncut one.

    `images` gives batches of network input, as often as they are gone through; they are never all in memory.
    """

    plan: CutPlan
    small: Network
    images: Batches
    seed: int = 0


Repair = Callable[[RefitRequest], None]
REFITS = Registry[Repair]("refit", CutError)


def refit_method(name: str) -> Callable[[Repair], Repair]:
    """Register a refit: a function that changes the parameters of a `RefitRequest`'s `small`, in place.

    >>> @refit_method("as_it_is")
    ... def as_it_is(request):
    ...     pass
    >>> "as_it_is" in REFITS
    True
    """

    def enter(function: Repair) -> Repair:
        if name == LEAST_SQUARES:
            raise CutError(f"there is already a refit {name!r}: choose another name")
        REFITS.enter(name, function)
        return function

    return enter


def refit_by(name: str, plan: CutPlan, small: Network, images: NetworkInput, seed: int = 0) -> RefitReport:
    """Repair a cut network by a registered refit; the report holds the relative squared error of its logits.

    Raises:
        CutError: there is no such refit, or it leaves parameters of another shape, or numbers that are not finite.
    """
    repair = REFITS.find(name)
    batches = Batches(images)
    shapes = {key: tensor.shape for key, tensor in small.graph.state_dict().items()}
    before = _error(plan, small, batches)
    repair(RefitRequest(plan, small, batches, seed))
    after = small.graph.state_dict()
    for key, shape in shapes.items():
        if key not in after or after[key].shape != shape:
            raise CutError(f"the refit {name!r} must leave {key} of shape {list(shape)}")
        if not bool(after[key].isfinite().all()):
            raise CutError(f"the refit {name!r} leaves numbers in {key} that are not finite")
    stage = StageError("logits", ("logits",), len(batches), 0, 0.0, 0.0, before, _error(plan, small, batches))
    return RefitReport((stage,), len(batches), method=name)


@torch.no_grad()
def _error(plan: CutPlan, small: Network, batches: Batches) -> float:
    """Return the squared error of the small network's logits, as a share of the uncut ones' squares."""
    wrong = power = 0.0
    for batch in batches:
        wanted = plan.network.graph(batch)[:, list(plan.task)].double()
        wrong += float((small.graph(batch).double() - wanted).square().sum())
        power += float(wanted.square().sum())
    return wrong / max(power, 1e-30)

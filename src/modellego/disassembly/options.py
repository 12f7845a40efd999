"""What may be asked of a cut beside its classes, and what of it is refused before any work is done."""

from dataclasses import dataclass, field
from typing import TypedDict

from torch import Tensor

from modellego.brick.reject_rule import Statistic
from modellego.contribution.relevance import Thresholds
from modellego.data.store import Store
from modellego.devices import AUTO, check_device
from modellego.disassembly.sampling import Samples
from modellego.errors import CutError
from modellego.locate import Budget, meant, names
from modellego.locate.criteria import ALIASES, BY_THRESHOLDS
from modellego.refit import RefitOptions
from modellego.refit.methods import LEAST_SQUARES, REFITS
from modellego.rejection.rule import check_rule

REFIT_IMAGES = 200


@dataclass(frozen=True)
class CutOptions:
    """How a brick is cut, repaired and given a reject rule: the keywords of `disassemble`, which says what they are.

    Raises:
        CutError: no such criterion or refit, or a criterion without a budget to rank for.
        DataError: a share or a statistic of rejection that there is none of.
        LegoError: the device is not here.
    """

    budget: Budget | None = None
    criterion: str | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    samples: Samples = field(default_factory=Samples)
    refit_images: int = REFIT_IMAGES
    refit_data: Tensor | Store | None = None
    refit_options: RefitOptions | None = None
    refit_by: str = LEAST_SQUARES
    tune: int | None = None
    reject: float | None = None
    reject_by: Statistic | None = None
    seed: int = 0
    device: str = AUTO

    def __post_init__(self) -> None:
        check_device(self.device)
        check_request(self.budget, self.criterion, self.reject, self.reject_by, self.refit_by)

    @property
    def limit(self) -> Budget | None:
        """The budget, None where it limits nothing."""
        return self.budget if self.budget is not None and self.budget.given else None

    @property
    def ranks_by(self) -> str:
        """The criterion that is meant."""
        return meant(self.criterion, self.limit is not None)


class CutKeywords(TypedDict, total=False):
    """The fields of `CutOptions` as keywords."""

    budget: Budget | None
    criterion: str | None
    thresholds: Thresholds
    samples: Samples
    refit_images: int
    refit_data: Tensor | Store | None
    refit_options: RefitOptions | None
    refit_by: str
    tune: int | None
    reject: float | None
    reject_by: Statistic | None
    seed: int
    device: str


def check_request(
    budget: Budget | None,
    criterion: str | None,
    reject: float | None,
    reject_by: str | None,
    refit_by: str = LEAST_SQUARES,
) -> str:
    """Refuse what cannot be asked for, before any work is done, and return the criterion that is meant.

    Raises:
        CutError: no such criterion or refit, or a criterion without a budget to rank for.
        DataError: a share or a statistic of rejection that there is none of.
    """
    budgeted = budget is not None and budget.given
    criterion = meant(criterion, budgeted)
    if criterion not in (*names(), *ALIASES):
        raise CutError(f"there is no criterion {criterion!r}: there are {', '.join(names())}")
    if refit_by != LEAST_SQUARES:
        REFITS.find(refit_by)
    if not budgeted:
        limits = "macs, parameters, latency or max_drop"
        if criterion != BY_THRESHOLDS:
            raise CutError(f"the criterion {criterion} ranks channels under a budget: give one of {limits}")
        if budget is not None and budget.round_to > 1:
            raise CutError(f"channel counts are rounded under a budget: give one of {limits}")
    check_rule(reject, reject_by)
    return criterion

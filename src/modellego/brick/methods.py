"""The methods of bricks that are functions of later rooms, which make them methods on import; and what they give."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from modellego.brick.reject_rule import Statistic
from modellego.data import DataLike
from modellego.data.given import GivenImages
from modellego.progress import Progress

if TYPE_CHECKING:
    from modellego.brick.model import Assembled, Brick


class Again(TypedDict, total=False):
    """How a model whose bricks changed is calibrated again.

    data: images of its bricks' classes; without them it is not calibrated, and its notes say so.
    calibrate: how, as in `assemble`; by default as the model was, and by `head` where it was not.
    per_class: how many images per class calibration takes; None for all.
    reject: the share of images of its own classes that it still answers; a rule the model had, which is about the
        classes it had, does not stay.
    reject_by: by which statistic, as in `assemble`.
    seed: of the choice of images.
    progress: follows the long parts.
    """

    data: DataLike | None
    calibrate: str | None
    per_class: int | None
    reject: float | None
    reject_by: Statistic | None
    seed: int
    progress: Progress


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one image with their softmax probabilities, and whether it was turned away.

    The probabilities are shares among the model's own classes: none of them says how likely "none of these" is.
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    rejected: bool

    @property
    def label(self) -> str | None:
        """The likeliest class, or None where the image was turned away ("none of these")."""
        return None if self.rejected else self.classes[0]

    @property
    def probability(self) -> float | None:
        """The probability of the label, None where there is none."""
        return None if self.rejected else self.probabilities[0]


class Taken(NamedTuple):
    """The brick that came off, as it went in, and the model without it: the last brick left is a model by itself."""

    brick: "Brick | Assembled"
    rest: "Brick | Assembled"


class Taker(Protocol):
    """The method `take` of assembled models."""

    def __call__(self, name: str, **again: Unpack[Again]) -> "Taken":
        """Take a brick off: it and the rest; see `modellego.assembly.parts.take`."""
        ...


class Adder(Protocol):
    """The method `add` of assembled models."""

    def __call__(
        self, brick: "Brick | Assembled", *, name: str | None = None, allow_same: bool = False, **again: Unpack[Again]
    ) -> "Assembled":
        """Return the model with one brick more; see `modellego.assembly.parts.add`."""
        ...


class Replacer(Protocol):
    """The method `replace` of assembled models."""

    def __call__(
        self,
        name: str,
        brick: "Brick | Assembled",
        *,
        new_name: str | None = None,
        allow_same: bool = False,
        **again: Unpack[Again],
    ) -> "Assembled":
        """Return the model with another brick in the place of one; see `modellego.assembly.parts.replace`."""
        ...


class Predictor(Protocol):
    """The method `predict` of bricks."""

    def __call__(self, images: GivenImages, top: int = 5) -> list[Prediction]:
        """Name the likeliest classes of one image or many; see `modellego.evaluation.predict`."""
        ...


class ProbabilityPredictor(Protocol):
    """The method `predict_proba` of bricks."""

    def __call__(self, images: GivenImages) -> NDArray[np.float64]:
        """Return the probabilities of images, `[N, C]`; see `modellego.evaluation.predict_proba`."""
        ...

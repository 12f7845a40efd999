"""The methods of bricks that are verbs: each calls its function, whose room is imported when the method is called.

The one place where a room reaches for others further down in the order of ARCHITECTURE.md, so that `brick.predict`
is there however a brick was made; the functions say what they take, raise and return.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from modellego.brick.reject_rule import Statistic
from modellego.data import DataLike, MappingLike
from modellego.data.given import GivenImages
from modellego.devices import AUTO
from modellego.progress import Progress

if TYPE_CHECKING:
    from modellego.brick.model import Assembled, Brick


class Recalibration(TypedDict, total=False):
    """How a model whose bricks changed is calibrated again.

    data: images of its bricks' classes; without them it is not calibrated, and its notes say so.
    calibrate: how, as in `assemble`; by default as the model was, and by `head` where it was not.
    per_class: how many images per class calibration takes; None for all.
    reject: the share of images of its own classes that it still answers; a rule the model had, which is about the
        classes it had, does not stay.
    reject_by: by which statistic, as in `assemble`.
    mapping: data class name -> class name or index of the model that is joined anew, where names do not meet.
    seed: of the choice of images.
    progress: follows the long parts.
    """

    data: DataLike | None
    calibrate: str | None
    per_class: int | None
    reject: float | None
    reject_by: Statistic | None
    mapping: MappingLike | None
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


class Verbs:
    """The verbs of bricks and assembled models, as methods."""

    def predict(self, images: GivenImages, top: int = 5, device: str = AUTO) -> list[Prediction]:
        """Name the likeliest classes of one image or many; see `modellego.predict`."""
        found: list[Prediction] = _verb("evaluation.prediction", "predict")(self, images, top, device)
        return found

    def predict_proba(self, images: GivenImages) -> NDArray[np.float64]:
        """Return the probabilities of images, float64 `[N, C]`; see `modellego.predict_proba`."""
        found: NDArray[np.float64] = _verb("evaluation.prediction", "predict_proba")(self, images)
        return found

    def take(self, name: str, **again: Unpack[Recalibration]) -> Taken:
        """Take a brick off an assembled model: it and the rest; see `modellego.take`."""
        found: Taken = _verb("assembly.parts", "take")(self, name, **again)
        return found

    def add(
        self,
        brick: "Brick | Assembled",
        *,
        name: str | None = None,
        allow_same: bool = False,
        **again: Unpack[Recalibration],
    ) -> "Assembled":
        """Return an assembled model with one brick more; see `modellego.add`."""
        made: Assembled = _verb("assembly.parts", "add")(self, brick, name=name, allow_same=allow_same, **again)
        return made

    def replace(
        self,
        name: str,
        brick: "Brick | Assembled",
        *,
        new_name: str | None = None,
        allow_same: bool = False,
        **again: Unpack[Recalibration],
    ) -> "Assembled":
        """Return an assembled model with another brick in the place of one; see `modellego.replace`."""
        replaced = _verb("assembly.parts", "replace")
        made: Assembled = replaced(self, name, brick, new_name=new_name, allow_same=allow_same, **again)
        return made


def _verb(room: str, name: str) -> Any:
    return getattr(import_module(f"modellego.{room}"), name)

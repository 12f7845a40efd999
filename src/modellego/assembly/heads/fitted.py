"""What a calibration gives back: a head or a scale and shift, and how it was chosen."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Candidate:
    """One regularisation that was tried: class-balanced accuracies (0 to 1) on held-out calibration images."""

    name: str
    plain: float  # on the unaltered images
    views: float  # the mean over all views, the unaltered one among them


@dataclass(frozen=True)
class CalibrationReport:
    """How a calibration was chosen: all candidates, the concatenation first, and whether the concatenation was kept."""

    chosen: str
    kept_concatenation: bool
    candidates: tuple[Candidate, ...]
    images: int
    views: int
    seconds: float = field(compare=False)

    def sentence(self) -> str:
        """Say in one sentence what was chosen and what it gives on held-out calibration images."""
        best = next(c for c in self.candidates if c.name == self.chosen)
        base = self.candidates[0]
        if self.kept_concatenation:
            return (
                "No calibration beats plain concatenation on held-out calibration images "
                f"({100 * base.plain:.2f} %): the concatenation is kept."
            )
        told = (
            f"Calibrated (penalties chosen by cross-validation: {self.chosen}): on held-out calibration images "
            f"{100 * base.plain:.2f} % (concatenated) -> {100 * best.plain:.2f} %"
        )
        if self.views > 1:
            told += f", over {self.views} views of each {100 * base.views:.2f} -> {100 * best.views:.2f} %"
        return told + "."


@dataclass(frozen=True)
class CalibratedHead:
    """A calibrated head over the bricks' columns: logits = columns @ weight.T + bias; `weight` [L, F], `bias` [L]."""

    weight: Tensor
    bias: Tensor
    report: CalibrationReport


@dataclass(frozen=True)
class Affine:
    """A scale and a shift per class: logits * scale + shift, both float [L]."""

    scale: Tensor
    shift: Tensor
    report: CalibrationReport

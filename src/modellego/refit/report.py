"""What a refit says of itself: the error of every stage, and how many images were used."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StageError:
    """How well the layers of one stage (those that add up to one tensor) match the uncut network, before and after.

    `before` and `after` are relative squared errors of the tensor `node` as the next layer reads it, on the
    calibration rows: `before` with the old weights on what the refitted layers in front of it now give.
    """

    node: str
    layers: tuple[str, ...]
    rows: int
    features: int
    ridge: float
    jitter: float
    before: float
    after: float


@dataclass(frozen=True)
class RefitReport:
    """What a refit did: every stage's error in graph order, and how many of the given images were used."""

    stages: tuple[StageError, ...]
    images: int
    skipped: tuple[str, ...] = ()
    method: str = "least squares"

    def table(self) -> str:
        """Return the errors as plain text, a line per stage.

        >>> print(RefitReport((StageError("add", ("conv",), 9, 4, 0.01, 0.0, 0.5, 0.125),), 3).table())
        conv  50.00% -> 12.50%
        """
        return "\n".join(f"{' + '.join(s.layers)}  {s.before:.2%} -> {s.after:.2%}" for s in self.stages)

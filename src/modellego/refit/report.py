"""What a refit says of itself: the error of every stage, and how many images were used."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StageError:
    """How well the layers of one stage (those that add up to one tensor) match the uncut network, before and after.

    `before` and `after` are relative squared errors of the tensor `node` as the next layer reads it, on the
    calibration rows: `before` with the old weights on what the refitted layers in front of it now give. Where the
    layers read so many features that not all rows could be held, one in `every` was taken.
    """

    node: str
    layers: tuple[str, ...]
    rows: int
    features: int
    ridge: float
    jitter: float
    before: float
    after: float
    every: int = 1


@dataclass(frozen=True)
class RefitReport:
    """What a refit did: every stage's error in graph order, and how many of the given images were used."""

    stages: tuple[StageError, ...]
    images: int
    skipped: tuple[str, ...] = ()
    method: str = "least squares"

    @property
    def thinned(self) -> dict[str, int]:
        """Layers so wide that not all sampled rows could be held, each with n where every n-th row was taken.

        >>> RefitReport((StageError("fc", ("fc",), 900, 25_088, 0.01, 0.0, 0.5, 0.1, every=3),), 2_700).thinned
        {'fc': 3}
        """
        return {name: s.every for s in self.stages if s.every > 1 for name in s.layers}

    def table(self) -> str:
        """Return the errors as plain text, a line per stage.

        >>> print(RefitReport((StageError("add", ("conv",), 9, 4, 0.01, 0.0, 0.5, 0.125),), 3).table())
        conv  50.00% -> 12.50%
        """
        return "\n".join(f"{' + '.join(s.layers)}  {s.before:.2%} -> {s.after:.2%}" for s in self.stages)

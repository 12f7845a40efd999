"""How layers are refitted: the options."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RefitOptions:
    """How layers are refitted.

    `ridge`: pull towards the layer's old weights, in units of its features' mean power; several values are compared
    on held-out rows. `rows`: output positions a layer is fitted on, at most (but four a feature where there are as
    many, and fewer where a layer is very large). `rectified`: rounds in which what a ReLU will clip anyway is left out
    of the error. `batch`: images worked on at once, at most. `memory`: bytes of feature maps and rows held in memory;
    beyond it they lie in a temporary file.
    """

    ridge: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)
    rows: int = 40_000
    rectified: int = 3
    batch: int = 100
    memory: int = 1_000_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.ridge or min(self.ridge) < 0:
            raise ValueError("ridge holds one or more numbers, none below 0")

"""The two parts a data source falls into, and the names by which they are told."""

from dataclasses import dataclass

from modellego.data.images import ImageSet

TRAIN = ("train", "training")
TEST = ("test", "testing", "validation", "valid", "val", "dev")  # the first that is there serves as test


@dataclass(frozen=True)
class Splits:
    """What one source holds: `train` to choose from, `test` to score on; either may be absent."""

    train: ImageSet | None
    test: ImageSet | None

"""Sample images for assembling: of each brick's own classes, and what the brick makes of them."""

from collections.abc import Sequence

import numpy as np

from modellego.data import DataLike, ImageSet, load_data
from modellego.errors import AssemblyError

PER_CLASS = 50


def train_images(data: DataLike | None, wanted_by: str) -> ImageSet:
    """Return the images to choose from; raises `AssemblyError` where none are given."""
    if data is None:
        raise AssemblyError(f"{wanted_by} needs sample images of the bricks' classes: give data")
    return load_data(data).train.cached()


def own_samples(images: ImageSet, classes: Sequence[str], per_class: int | None, seed: int = 0) -> ImageSet:
    """Draw up to `per_class` images of each of a brick's classes (None: all), labelled as the brick numbers them.

    Raises:
        DataError: a class has no images, or a label fits two classes.
    """
    known = images.for_model(classes)
    known.need(range(len(classes)))
    if per_class is None:
        return known
    random = np.random.default_rng(seed)
    picked = [random.permutation(known.of_class(label))[:per_class] for label in range(len(classes))]
    return known.subset(np.sort(np.concatenate(picked)))


def other_samples(
    images: ImageSet, classes: Sequence[str], per_class: int, taken: int | None, seed: int = 0
) -> ImageSet:
    """Draw up to `per_class` images of each class behind the `taken` that `own_samples` draws with the same seed.

    A class with no image left gives those it has.

    Raises:
        DataError: a class has no images, or a label fits two classes.
    """
    known = images.for_model(classes)
    known.need(range(len(classes)))
    random = np.random.default_rng(seed)
    orders = [random.permutation(known.of_class(label)) for label in range(len(classes))]
    picked = [(order if taken is None or taken >= len(order) else order[taken:])[:per_class] for order in orders]
    return known.subset(np.sort(np.concatenate(picked)))

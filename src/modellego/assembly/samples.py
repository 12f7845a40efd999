"""Sample images for assembling: of each brick's own classes, and what the brick makes of them."""

from modellego.data import DataLike, ImageSet, Vocabulary, load_data
from modellego.data.draw import shuffled_classes, together
from modellego.errors import AssemblyError

PER_CLASS = 50


def train_images(data: DataLike | None, wanted_by: str) -> ImageSet:
    """Return the images to choose from; raises `AssemblyError` where none are given."""
    if data is None:
        raise AssemblyError(f"{wanted_by} needs sample images of the bricks' classes: give data")
    return load_data(data).train.cached()


def own_samples(images: ImageSet, classes: Vocabulary, per_class: int | None, seed: int = 0) -> ImageSet:
    """Draw up to `per_class` images of each of a brick's classes (None: all), labelled as the brick numbers them.

    Raises:
        DataError: a class has no images, or a label fits two classes.
    """
    known = images.for_model(classes)
    known.need(range(len(known.classes)))
    if per_class is None:
        return known
    orders = shuffled_classes(known.labels, range(len(known.classes)), seed)
    return known.subset(together(order[:per_class] for order in orders))


def other_samples(images: ImageSet, classes: Vocabulary, per_class: int, taken: int | None, seed: int = 0) -> ImageSet:
    """Draw up to `per_class` images of each class behind the `taken` that `own_samples` draws with the same seed.

    A class with no image left gives those it has.

    Raises:
        DataError: a class has no images, or a label fits two classes.
    """
    known = images.for_model(classes)
    known.need(range(len(known.classes)))
    orders = shuffled_classes(known.labels, range(len(known.classes)), seed)
    left = (order if taken is None or taken >= len(order) else order[taken:] for order in orders)
    return known.subset(together(order[:per_class] for order in left))

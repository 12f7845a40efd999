"""Which images show a class in pictures of routes and heat maps: those the model is most confident of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modellego.brick import Assembled, Brick
from modellego.contribution.samples import PER_CLASS, select_samples
from modellego.data import DataLike, ImageSet, MappingLike, load_data, resolve_classes
from modellego.errors import DataError
from modellego.evaluation import logits_of

CANDIDATES = 4  # times as many images are looked at as are taken


def class_images(
    model: Brick | Assembled,
    data: DataLike,
    classes: str | Sequence[str | int] | None = None,
    *,
    mapping: MappingLike | None = None,
    per_class: int = PER_CLASS,
) -> dict[str, ImageSet]:
    """Choose, for each class of a model, the images with the largest softmax probability of their true class.

    Looks at the training images, 4 times as many of each class as are taken, evenly spread. `classes` are names or
    numbers of the model's classes as in `resolve_classes`, by default all. Raises `DataError` for a class without
    images.

    >>> import torch
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> ten = [str(digit) for digit in range(10)]
    >>> brick = whole_brick(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)), Preprocess(1, 8, 8), ten)
    >>> {name: len(images) for name, images in class_images(brick, "digits", "3,7", per_class=5).items()}
    {'3': 5, '7': 5}
    """
    train = load_data(data).train.for_model(model.vocabulary, mapping)
    chosen = list(range(len(model.classes))) if classes is None else resolve_classes(classes, model.classes)
    if per_class < 1:
        raise DataError(f"{per_class} samples per class were asked for; it must be at least 1")
    train.need(chosen)
    looked_at = np.concatenate([_spread(train.of_class(label), CANDIDATES * per_class) for label in chosen])
    part = train.subset(looked_at)
    if model.info.outputs == "logits":
        probability = logits_of(model, part).double().softmax(1).numpy()[np.arange(len(part)), part.labels]
    else:  # features say nothing about the class
        probability = np.zeros(len(part))
    best = select_samples(probability, part.labels, chosen, per_class=per_class, names=model.classes)
    return {model.classes[label]: part.subset(indices) for label, indices in best.items()}


def _spread(indices: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the indices, evenly spread over all."""
    if len(indices) <= most:
        return indices
    return indices[np.arange(most) * len(indices) // most]

"""A source model by name as a whole brick: loaded, captured, and what the data tell about it taken over."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from modellego.brick import Brick
from modellego.data import Data
from modellego.sources.load import load_source
from modellego.sources.normalisation import Tried, tried_on
from modellego.sources.whole import name_classes, whole_brick


class OpenedSource(NamedTuple):
    """A source as a whole brick, what was tried of its normalisation, and whether its class names are the data's."""

    brick: Brick
    tried: Tried | None
    named_by_data: bool


def open_source(spec: str, given: Mapping[str, Any], data: Data | None = None) -> OpenedSource:
    """Load a source model and capture it whole; what is not given is taken from the data.

    `given` holds what `load_source` takes, and `logits`: the key or position of the logits in what the model returns.
    Where mean and std are not known, the usual ones are tried on the data (`note_normalisation`).

    Raises:
        LegoError: the model cannot be found, loaded or captured.

    >>> opened = open_source("zoo:lenet5", {"weights": "random", "channels": 1, "num_classes": 10})
    >>> opened.brick.info.sources[0].name, opened.tried, opened.named_by_data
    ('lenet5', None, False)
    """
    plain = {key: value for key, value in given.items() if key != "logits"}
    source = load_source(spec, **plain, image_shape=data.train.common_shape if data is not None else None)
    logits = given.get("logits")
    selector = int(logits) if isinstance(logits, str) and logits.lstrip("-").isdigit() else logits
    brick = whole_brick(source.model, source.preprocess, source.classes, source.name, selector)
    told = {"licence": source.licence, "origin": source.origin}
    brick.info = brick.info.changed(sources=tuple(o.model_copy(update=told) for o in brick.info.sources))
    named = source.classes is None and data is not None and name_classes(brick, data.classes)
    tried = None if data is None or source.normalised else tried_on(brick, data.train)
    return OpenedSource(brick, tried, named)

"""Reads image data sets by their name on a public hub, through the `datasets` library."""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from modellego.data.images import ImageSet
from modellego.data.parquet import IMAGE_COLUMNS, LABEL_COLUMNS, decode_value, labelled, without_labels
from modellego.data.splits import TEST, TRAIN, Splits
from modellego.data.store import CacheStore, Pixels
from modellego.errors import DataError, MissingExtraError


def read_hub(name: str) -> Splits:
    """Fetch `owner/name` (or `owner/name:configuration`) and read its train and test splits.

    Raises `MissingExtraError` without the `datasets` library, and `DataError` where the data set cannot be
    fetched or holds no images with labels.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "hub") from error
    path, _, configuration = name.partition(":")
    try:
        whole = datasets.load_dataset(path, configuration or None)
    except Exception as error:  # network, hub and file errors of every kind
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"the data set {name} cannot be fetched from the hub: {reason[0]}") from error
    return from_datasets(whole, name)


def from_datasets(whole: Any, name: str) -> Splits:
    """Turn a `datasets.DatasetDict` into train and test sets, decoded on demand."""
    train = next((_image_set(whole[n], name) for n in TRAIN if n in whole), None)
    test = labelled(_image_set(whole[n], name, test=True) for n in TEST if n in whole)
    if train is None and test is None:
        raise DataError(f"the data set {name} has no train or test split: it has {', '.join(whole)}")
    return Splits(train, test)


def _image_set(split: Any, name: str, test: bool = False) -> ImageSet | None:
    features = split.features
    kinds = {column: type(feature).__name__ for column, feature in features.items()}
    image = next((c for c, kind in kinds.items() if kind == "Image"), None)
    image = image or next((c for c in IMAGE_COLUMNS if c in kinds), None)
    label = next((c for c in LABEL_COLUMNS if c in kinds), None)
    label = label or next((c for c, kind in kinds.items() if kind == "ClassLabel"), None)
    if image is None or label is None:
        raise DataError(f"the data set {name} has no image and label columns: it has {', '.join(kinds)}")
    values = list(split[label])
    names = getattr(features[label], "names", None)
    if names is None and values and isinstance(values[0], str):
        names = sorted(set(values))
        values = [names.index(value) for value in values]
    labels = np.asarray(values, dtype=np.int64)
    if test and without_labels(labels):
        return None
    names = names or [str(k) for k in range(int(labels.max(initial=-1)) + 1)]
    return ImageSet.of(CacheStore(HubStore(split, image, name)), labels, names)


class HubStore:
    """Images of one split of a `datasets.Dataset`."""

    def __init__(self, split: Any, column: str, title: str) -> None:
        if type(split.features[column]).__name__ == "Image":
            from datasets import Image

            split = split.cast_column(column, Image(decode=False))
        self.split, self.column, self.title = split.select_columns([column]), column, title
        self.lock = threading.Lock()  # the library promises nothing to threads; decoding needs no lock

    def __len__(self) -> int:
        return len(self.split)

    def name(self, index: int) -> str:
        """The data set and the row."""
        return f"{self.title} row {index}"

    def read(self, index: int) -> Pixels:
        """Decode the image of one row."""
        with self.lock:
            value = self.split[index][self.column]
        return decode_value(value, self.name(index), Path())

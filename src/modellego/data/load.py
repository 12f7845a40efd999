"""Reads data from wherever it is named, and merges several sources by class name."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modellego.data.digits import read_digits
from modellego.data.folder import read_folder
from modellego.data.hub import read_hub
from modellego.data.images import ImageSet, merged
from modellego.data.labels import MappingLike, Vocabulary
from modellego.data.parquet import read_parquet, shards
from modellego.data.splits import Splits
from modellego.data.tiny_imagenet import is_tiny_imagenet, read_tiny_imagenet
from modellego.errors import DataError, MissingExtraError
from modellego.registry import Registry


@dataclass(frozen=True)
class Data:
    """Images to choose from (`train`) and, where there are any, images to score on (`test`); same classes."""

    train: ImageSet
    test: ImageSet | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, the same in both sets."""
        return self.train.classes

    def for_model(
        self,
        classes: Vocabulary | Sequence[str],
        mapping: MappingLike | None = None,
        wanted: Sequence[int] | None = None,
    ) -> "Data":
        """The images whose class a model knows, labelled as the model numbers them: `ImageSet.for_model`."""
        test = self.test.for_model(classes, mapping, wanted) if self.test is not None else None
        return Data(self.train.for_model(classes, mapping, wanted), test)

    def cached(self) -> "Data":
        """The same images, each decoded once as long as they fit in memory: `ImageSet.cached`."""
        return Data(self.train.cached(), None if self.test is None else self.test.cached())


Read = Callable[[str], ImageSet | Data]
READERS = Registry[Read]("reader of data", DataError)


def reader(name: str) -> Callable[[Read], Read]:
    """Register a reader: data named `NAME:PLACE` are what the function makes of `PLACE`, images or `Data`.

    >>> @reader("nothing")
    ... def nothing(place):
    ...     raise DataError(f"there is nothing at {place}")
    >>> load_data("nothing:here")
    Traceback (most recent call last):
    modellego.errors.DataError: there is nothing at here
    """

    def enter(function: Read) -> Read:
        if name in ("hub", "digits"):
            raise DataError(f"there is already a reader of data {name!r}: choose another name")
        READERS.enter(name, function)
        return function

    return enter


DataSource = str | os.PathLike[str] | ImageSet | Data
DataLike = DataSource | Sequence[DataSource]


def load_data(data: DataLike, test_data: DataLike | None = None) -> Data:
    """Read one or several sources and merge them by class name: what every verb does with its `data`.

    A source is a folder of class folders, Tiny-ImageNet as it is published, a parquet file or a folder of
    shards, `digits` (embedded), the name of a data set on a public hub (`owner/name`, `hub:name`), or an
    `ImageSet` or `Data`. Where a source has a train and a test part, the latter becomes `test`; `test_data`
    names other images for it.
    Raises `DataError` where a source is missing or broken, and `MissingExtraError` for hub names without
    the `datasets` library.

    >>> data = load_data("digits")
    >>> len(data.train), len(data.test), data.classes[:3]
    (1442, 355, ('0', '1', '2'))
    """
    if isinstance(data, Data) and test_data is None:
        return data
    parts = [_read(source) for source in _listed(data)]
    train = [p.train for p in parts if p.train is not None]
    if not train:
        raise DataError("the data have no train part to choose images from: give one, and name these as test data")
    tests = [p.test for p in parts if p.test is not None]
    if test_data is not None:
        named = [_read(source) for source in _listed(test_data)]
        tests = [found for p in named if (found := p.test if p.test is not None else p.train) is not None]
    whole = merged(train)
    if not tests:
        return Data(whole)
    test = merged(tests)
    if test.classes == whole.classes:
        return Data(whole, test)
    # one list of classes for both: each set is merged with an empty selection of the other
    nothing_of_test, nothing_of_train = test.subset([]), whole.subset([])
    return Data(merged([whole, nothing_of_test]), merged([nothing_of_train, test]))


def _listed(sources: DataLike) -> list[DataSource]:
    if isinstance(sources, str | os.PathLike | ImageSet | Data):
        return [sources]
    if not sources:
        raise DataError("no data are named: give a folder, a parquet file or the name of a data set")
    return list(sources)


def _read(source: DataSource) -> Splits:
    """Find out what a source is, and read it."""
    if isinstance(source, Data):
        return Splits(source.train, source.test)
    if isinstance(source, ImageSet):
        return Splits(source, None)
    text = os.fspath(source)
    path = Path(text).expanduser()
    if path.is_dir():
        if is_tiny_imagenet(path):
            return read_tiny_imagenet(path)
        return read_parquet(path) if shards(path) else read_folder(path)
    if path.is_file():
        if path.suffix.lower() != ".parquet":
            raise DataError(f"{text} is a single file: give a folder of class folders, or parquet files")
        return read_parquet(path)
    if text == "digits":
        return read_digits()
    kind, colon, place = text.partition(":")
    if colon and kind != "hub" and kind in READERS:
        return _checked(kind, READERS.find(kind)(place))
    if text.startswith("hub:"):
        return read_hub(text.removeprefix("hub:"))
    if path.suffix.lower() == ".parquet" or not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(:[\w.-]+)?", text):
        raise DataError(f"there is no file or folder {text}")
    try:
        return read_hub(text)
    except MissingExtraError as missing:
        raise DataError(f"there is no file or folder {text}; to read it from a hub: {missing}") from missing
    except DataError as error:
        raise DataError(f"there is no file or folder {text}, and {error}") from error


def _checked(kind: str, found: object) -> Splits:
    """Return what a registered reader gave as splits; its first images are decoded, to see that they are images."""
    splits = Splits(found, None) if isinstance(found, ImageSet) else found
    if isinstance(found, Data):
        splits = Splits(found.train, found.test)
    if not isinstance(splits, Splits):
        raise DataError(f"the reader {kind!r} must return an ImageSet or Data, not {type(found).__name__}")
    for part in (splits.train, splits.test):
        if part is None or not len(part):
            continue
        pixels = part.read(0)
        floats = pixels.dtype == np.float32 and bool(((pixels >= 0) & (pixels <= 1)).all())
        if pixels.ndim != 3 or not (pixels.dtype == np.uint8 or floats):
            shape = f"{pixels.dtype} {list(pixels.shape)}"
            raise DataError(f"the reader {kind!r} must give images [h, w, c], bytes or float32 in [0,1], not {shape}")
    return splits

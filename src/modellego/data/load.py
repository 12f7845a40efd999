"""Reads data from wherever it is named, and merges several sources by class name."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modellego.data.digits import read_digits
from modellego.data.folder import read_folder
from modellego.data.hub import read_hub
from modellego.data.images import ImageSet, merged
from modellego.data.parquet import read_parquet, shards
from modellego.data.splits import Splits
from modellego.data.tiny_imagenet import is_tiny_imagenet, read_tiny_imagenet
from modellego.errors import DataError, MissingExtraError


@dataclass(frozen=True)
class Data:
    """Images to choose from (`train`) and, where there are any, images to score on (`test`); same classes."""

    train: ImageSet
    test: ImageSet | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, the same in both sets."""
        return self.train.classes

    def for_model(self, classes: Sequence[str], mapping: Mapping[str, str | int] | None = None) -> "Data":
        """The images whose class a model knows, labelled as the model numbers them: `ImageSet.for_model`."""
        test = self.test.for_model(classes, mapping) if self.test is not None else None
        return Data(self.train.for_model(classes, mapping), test)


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

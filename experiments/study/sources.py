"""Data sets and published models from one folder, each opened once."""

from functools import cache
from pathlib import Path

import numpy as np
import torch

from modellego.brick import Brick
from modellego.data import Data, ImageSet, load_data
from modellego.errors import DataError
from modellego.preprocess import Preprocess
from modellego.sources import load_source
from modellego.sources.whole import whole_brick

PREPROCESS = {
    "cifar10": Preprocess(3, 32, 32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": Preprocess(3, 32, 32, (0.5070, 0.4865, 0.4409), (0.2673, 0.2564, 0.2761)),
    "tiny-imagenet": Preprocess(3, 64, 64, (0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821)),
    "mnist": Preprocess(1, 28, 28, (0.1307,), (0.3081,)),
    "fashion-mnist": Preprocess(1, 28, 28, (0.2860,), (0.3530,)),
}
HUBS = {
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "mnist": "ylecun/mnist",
    "fashion-mnist": "zalando-datasets/fashion_mnist",
}


class Sources:
    """A folder with data sets (`data/cifar10/`, or `cifar10/`) and published models (`models/*.safetensors`).

    With `limit`, a data set is its first images of every class in turn, about that many per split.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder, self.limit = folder, limit
        self.data = cache(self._data)
        self.published = cache(self._published)

    def place(self, name: str) -> Path:
        """Return the folder of a data set.

        Raises:
            DataError: it is not there; the text says where to put it.
        """
        for place in (self.folder / "data" / name, self.folder / name):
            if place.is_dir():
                return place
        remedy = f" (parquet shards of {HUBS[name]} on the Hugging Face hub, or train/ and test/ folders)"
        raise DataError(
            f"there is no {name} in {self.folder}: put it at {self.folder / name}"
            f"{remedy if name in HUBS else ''}, or name the folder it is in with --data"
        )

    def model(self, name: str) -> Path:
        """Return the weights file of a published model.

        Raises:
            DataError: it is not there; the text says where to put it.
        """
        file = self.folder / "models" / f"{name}.safetensors"
        if not file.is_file():
            raise DataError(
                f"there is no published model {name} in {self.folder}: put its weights at {file}, or train one "
                "with train-source and name it with --network"
            )
        return file

    def _data(self, name: str) -> Data:
        """Read a data set, both parts."""
        whole = load_data(str(self.place(name)))
        if whole.test is None:
            raise DataError(f"{name} in {self.folder} has no test part to score on: add it")
        return Data(some(whole.train, self.limit), some(whole.test, self.limit))

    def _published(self, name: str) -> Brick:
        """Load a published CIFAR ResNet (`cifar10_resnet20`) the way a user does, whole."""
        dataset, network = name.split("_")
        norm = PREPROCESS[dataset]
        names = self.data(dataset).classes
        file = self.model(name)
        found = load_source(
            f"zoo:{network}", weights=str(file), input_size=32, mean=norm.mean, std=norm.std, class_names=names
        )
        whole = whole_brick(found.model, found.preprocess, found.classes, name)
        whole.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return whole


def some(images: ImageSet, limit: int | None) -> ImageSet:
    """Return the first images of every class, about `limit` in all; all without a limit."""
    if limit is None or limit >= len(images):
        return images
    each = max(1, limit // len(images.classes))
    return images.subset(np.sort(np.concatenate([images.of_class(k)[:each] for k in range(len(images.classes))])))

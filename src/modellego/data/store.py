"""Where images lie: stores that hand out one decoded image at a time, and a cache in front of them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modellego.data.decode import read_file

Pixels = NDArray[np.uint8] | NDArray[np.float32]
CACHE_BYTES = 150 << 20  # the training images of CIFAR-10, or 1,000 of 224x224


@runtime_checkable
class Store(Protocol):
    """A numbered collection of images; threads read from it at the same time."""

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def name(self, index: int) -> str:
        """What to call an image in an error."""
        ...

    def read(self, index: int) -> Pixels:
        """Decode one image to `[h, w, c]`: uint8, or float32 in [0,1]."""
        ...


@runtime_checkable
class StampedStore(Store, Protocol):
    """A store that can tell its images from others without decoding them."""

    def stamp(self, index: int) -> str | None:
        """What is another as soon as an image is another; None where that cannot be told."""
        ...


def stamp_of(store: Store, index: int) -> str | None:
    """Return an image's stamp, None where its store gives none."""
    return store.stamp(index) if isinstance(store, StampedStore) else None


def file_stamp(path: Path) -> str | None:
    """Return a file's stamp from what the system notes of it; None where there is no such file.

    The time of the last change of its entry (ctime) cannot be set, so that even a file of equal size and date, copied
    or moved over another, has a stamp of its own.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


class FileStore:
    """Image files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """The file's path."""
        return str(self.paths[index])

    def read(self, index: int) -> Pixels:
        """Decode the file."""
        return read_file(self.paths[index])

    def stamp(self, index: int) -> str | None:
        """The file's stamp."""
        return file_stamp(self.paths[index])


class ArrayStore:
    """Images in memory: one array `[n, c, h, w]`, uint8 or float32."""

    def __init__(self, images: Pixels) -> None:
        self.array = images

    def __len__(self) -> int:
        return len(self.array)

    def name(self, index: int) -> str:
        """The image's number."""
        return f"image {index}"

    def read(self, index: int) -> Pixels:
        """A view of the image."""
        pixels: Pixels = self.array[index].transpose(1, 2, 0)
        return pixels

    def stamp(self, index: int) -> str | None:
        """The digest of the image."""
        image = self.array[index]
        return hashlib.sha256(f"{image.dtype}{image.shape}".encode() + image.tobytes()).hexdigest()


def as_store(images: Tensor | Store) -> Store:
    """Return images in memory, float `[n, c, h, w]` in [0,1], as a store, and a store as it is."""
    return ArrayStore(images.detach().float().cpu().numpy()) if isinstance(images, Tensor) else images


class ChainStore:
    """Several stores one behind the other."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = tuple(stores)
        self.starts = np.cumsum([0, *(len(s) for s in stores)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def _find(self, index: int) -> tuple[Store, int]:
        which = int(np.searchsorted(self.starts, index, "right")) - 1
        return self.stores[which], index - int(self.starts[which])

    def name(self, index: int) -> str:
        """The name in the store that holds the image."""
        store, inner = self._find(index)
        return store.name(inner)

    def read(self, index: int) -> Pixels:
        """Read from the store that holds the image."""
        store, inner = self._find(index)
        return store.read(inner)

    def stamp(self, index: int) -> str | None:
        """The stamp in the store that holds the image."""
        return stamp_of(*self._find(index))


class PickedStore:
    """Some images of another store, in an order of their own."""

    def __init__(self, store: Store, picked: Sequence[int]) -> None:
        self.store, self.picked = store, tuple(int(i) for i in picked)

    def __len__(self) -> int:
        return len(self.picked)

    def name(self, index: int) -> str:
        """The name in the inner store."""
        return self.store.name(self.picked[index])

    def read(self, index: int) -> Pixels:
        """Read from the inner store."""
        return self.store.read(self.picked[index])

    def stamp(self, index: int) -> str | None:
        """The stamp in the inner store."""
        return stamp_of(self.store, self.picked[index])


class CacheStore:
    """Keeps decoded images of another store in memory until `budget` bytes are full, give or take a few."""

    def __init__(self, store: Store, budget: int = CACHE_BYTES) -> None:
        self.store = store
        self.left = budget
        self.kept: dict[int, Pixels] = {}

    def __len__(self) -> int:
        return len(self.store)

    def name(self, index: int) -> str:
        """The name in the inner store."""
        return self.store.name(index)

    def read(self, index: int) -> Pixels:
        """Read from memory, else from the inner store."""
        pixels = self.kept.get(index)
        if pixels is None:
            pixels = self.store.read(index)
            if pixels.nbytes <= self.left:
                self.left -= pixels.nbytes
                self.kept[index] = pixels
        return pixels

    def stamp(self, index: int) -> str | None:
        """The stamp in the inner store."""
        return stamp_of(self.store, index)

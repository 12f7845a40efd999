"""The set of labelled images that the rest of the house works with, decoded on demand."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.data.decode import to_float
from modellego.data.labels import MappingLike, Vocabulary, match
from modellego.data.store import ArrayStore, CacheStore, ChainStore, Pixels, Store, stamp_of
from modellego.errors import DataError
from modellego.preprocess import resized, with_channels

_log = logging.getLogger(__name__)
Indices = Sequence[int] | NDArray[np.int64] | Tensor | slice


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images: `labels` (int64 `[n]`) number the `classes`.

    `store` holds the pixels, those of image i at `where[i]` (int64 `[n]`). Raises `DataError` for a label
    outside the classes, naming the image.

    >>> images = ImageSet.from_tensor(torch.zeros(2, 3, 4, 4), [1, 0], ["cat", "dog"])
    >>> len(images), images.images([0]).shape
    (2, torch.Size([1, 3, 4, 4]))
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    store: Store
    where: NDArray[np.int64]

    def __post_init__(self) -> None:
        wrong = np.flatnonzero((self.labels < 0) | (self.labels >= len(self.classes)))
        if len(wrong):
            first = int(wrong[0])
            raise DataError(
                f"{self.name(first)} has label {self.labels[first]}, but there are {len(self.classes)} "
                f"classes, 0 to {len(self.classes) - 1}: {len(wrong)} of {len(self)} images are mislabelled"
            )

    @classmethod
    def of(cls, store: Store, labels: Sequence[int] | NDArray[np.int64], classes: Sequence[str]) -> "ImageSet":
        """All images of a store."""
        numbers = np.asarray(labels, dtype=np.int64)
        if len(numbers) != len(store):
            raise DataError(f"{len(store)} images but {len(numbers)} labels: give one label for each image")
        return cls(tuple(classes), numbers, store, np.arange(len(numbers)))

    @classmethod
    def from_tensor(
        cls,
        images: Tensor | NDArray[np.float32] | NDArray[np.uint8],
        labels: Sequence[int] | NDArray[np.int64] | Tensor,
        classes: Sequence[str],
    ) -> "ImageSet":
        """Images in memory, `[n, c, h, w]`, float in [0,1] or bytes; raises `DataError` for other values."""
        array: Any = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
        if array.ndim != 4:
            raise DataError(f"images must have the shape [n, c, h, w], not {list(array.shape)}")
        if array.dtype != np.uint8:
            array = array.astype(np.float32)
            if array.size and not (array.min() >= 0 and array.max() <= 1):
                raise DataError("images must lie in [0,1]: divide bytes by 255, and leave normalisation out")
        return cls.of(ArrayStore(array), np.asarray(labels), classes)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"ImageSet({len(self)} images of {len(self.classes)} classes)"

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many images each class has, int64 `[len(classes)]`."""
        return np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the first image."""
        if not len(self):
            raise DataError("the data hold no images")
        height, width, channels = self.read(0).shape
        return channels, height, width

    @property
    def common_shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width that the first 32 images share (a mix of grey and RGB is RGB), else None."""
        shapes = [self.read(i).shape for i in range(min(32, len(self)))]
        if len({s[:2] for s in shapes}) != 1:
            return None
        return max(s[2] for s in shapes), shapes[0][0], shapes[0][1]

    def name(self, index: int) -> str:
        """What the image is called: its file, or its place in one."""
        return self.store.name(int(self.where[index]))

    def read(self, index: int) -> Pixels:
        """One image as `[h, w, c]`, uint8 or float32 in [0,1]; raises `DataError` naming a corrupt one."""
        return self.store.read(int(self.where[index]))

    def images(
        self,
        indices: Indices | None = None,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
        resize: str = "squash",
    ) -> Tensor:
        """Decode images to float32 `[n, c, h, w]` in [0,1]; all of them without `indices`.

        `size` (height, width) brings each to one size, by `resize` as in `Preprocess`; without it sizes
        must agree. `channels` asks for grey (1) or RGB (3); without it a mix becomes RGB. Raises
        `DataError` where sizes differ and for a corrupt image.
        """
        chosen = np.arange(len(self))[_array(indices)] if indices is not None else np.arange(len(self))
        arrays: list[Pixels] = [np.empty(0, np.uint8)] * len(chosen)
        for place in np.argsort(self.where[chosen], kind="stable"):  # in the order in which they lie
            arrays[place] = self.read(int(chosen[place]))
        if not arrays:
            return torch.empty(0, channels or 3, *(size or (1, 1)))
        shapes = {a.shape for a in arrays}
        if size is None and len({s[:2] for s in shapes}) > 1:
            other = next(i for i, a in enumerate(arrays) if a.shape[:2] != arrays[0].shape[:2])
            one, two = ("x".join(map(str, arrays[i].shape[:2])) for i in (0, other))
            raise DataError(
                f"images differ in size: {self.name(int(chosen[0]))} is {one}, "
                f"{self.name(int(chosen[other]))} is {two}: give a size"
            )
        if len(shapes) == 1 and len({a.dtype for a in arrays}) == 1:
            batch = to_float(*arrays)
            batch = with_channels(batch, channels or int(batch.shape[1]))
            return batch if size is None else resized(batch, size, resize)
        wanted = channels or max(s[2] for s in shapes)
        whole = [with_channels(to_float(a), wanted) for a in arrays]
        return torch.cat([w if size is None else resized(w, size, resize) for w in whole])

    def batches(
        self,
        batch_size: int = 256,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
        resize: str = "squash",
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through all images in order: float32 `[b, c, h, w]` as from `images`, int64 labels `[b]`."""
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            yield self.images(part, size, channels, resize), torch.from_numpy(self.labels[part])

    def of_class(self, label: int) -> NDArray[np.int64]:
        """The indices of a class's images, ascending."""
        return np.flatnonzero(self.labels == label)

    def subset(self, indices: Indices) -> "ImageSet":
        """Some of the images, in the order given; the classes stay."""
        chosen = _array(indices)
        return ImageSet(self.classes, self.labels[chosen], self.store, self.where[chosen])

    def select(self, labels: Sequence[int]) -> "ImageSet":
        """The images of some classes, which become the classes 0, 1, ... in the order given."""
        number = np.full(len(self.classes), -1, np.int64)
        number[list(labels)] = np.arange(len(labels))
        return self._renumbered(number, tuple(self.classes[k] for k in labels))

    def for_model(
        self,
        classes: Vocabulary | Sequence[str],
        mapping: MappingLike | None = None,
        wanted: Sequence[int] | None = None,
    ) -> "ImageSet":
        """The images whose class a model knows, with the model's classes and numbers; see `match`.

        Raises `DataError` where no class meets, where a label fits two of the model's classes, and where it may or may
        not mean one of the `wanted` (indices; all by default).
        """
        if not len(self):
            raise DataError("the data hold no images")
        found = match(self.classes, classes, mapping)
        if not found.plain:
            _log.info("labels: %s", found)
        found.check(wanted)
        if not (found.number >= 0).any():
            theirs, ours = (", ".join(c[:3]) + (", ..." if len(c) > 3 else "") for c in (self.classes, found.classes))
            raise DataError(
                f"no class of the data ({theirs}) is a class of the model ({ours}): "
                f"name the model's classes as the data do, or map them"
            )
        return self._renumbered(found.number, found.classes)

    def check(self, channels: int | None = None) -> None:
        """Decode every image once; raises `DataError` naming the first that is corrupt or cannot have `channels`."""
        for index in range(len(self)):
            found = self.read(index).shape[2]
            if channels not in {None, found} and {channels, found} != {1, 3}:
                raise DataError(
                    f"{self.name(index)} has {found} channels and the network wants {channels}: "
                    f"only grey (1) and RGB (3) are converted"
                )

    def cached(self) -> "ImageSet":
        """The same images, each decoded once as long as they fit in the memory of a `CacheStore`."""
        if isinstance(self.store, ArrayStore | CacheStore):
            return self
        return ImageSet(self.classes, self.labels, CacheStore(self.store), self.where)

    def fingerprint(self) -> str | None:
        """A digest that is another as soon as an image, a label or their order is; None where a store cannot tell.

        Nothing is decoded: files are told apart by what the system notes of them (`StampedStore`).
        """
        digest = hashlib.sha256(self.labels.tobytes())
        for index in self.where:
            stamp = stamp_of(self.store, int(index))
            if stamp is None:
                return None
            digest.update(f"{stamp}\n".encode())
        return digest.hexdigest()

    def _renumbered(self, number: NDArray[np.int64], classes: tuple[str, ...]) -> "ImageSet":
        labels = number[self.labels]
        kept = labels >= 0
        return ImageSet(classes, labels[kept], self.store, self.where[kept])

    def need(self, labels: Sequence[int], least: int = 1) -> None:
        """Check that classes have images; raises `DataError` naming the first that has fewer than `least`."""
        counts = self.counts
        for label in labels:
            if counts[label] < least:
                found = f"only {counts[label]} images" if counts[label] else "no images"
                raise DataError(f"class {self.classes[label]!r} has {found} in the data: it needs {least} or more")


def _array(indices: Indices) -> NDArray[np.int64] | slice:
    if isinstance(indices, slice):
        return indices
    array = indices.cpu().numpy() if isinstance(indices, Tensor) else np.asarray(indices)
    if array.dtype == bool:
        return np.flatnonzero(array)
    return array.astype(np.int64)


def merged(sets: Sequence[ImageSet]) -> ImageSet:
    """Put image sets together; classes of one name become one class, in the order in which they appear.

    >>> one = ImageSet.from_tensor(torch.zeros(1, 1, 2, 2), [0], ["cat", "dog"])
    >>> two = ImageSet.from_tensor(torch.ones(1, 1, 2, 2), [1], ["fox", "cat"])
    >>> both = merged([one, two]); both.classes, both.labels.tolist()
    (('cat', 'dog', 'fox'), [0, 0])
    """
    if len(sets) == 1:
        return sets[0]
    classes = tuple(dict.fromkeys(name for s in sets for name in s.classes))
    place = {name: k for k, name in enumerate(classes)}
    labels = [np.array([place[name] for name in s.classes], np.int64)[s.labels] for s in sets]
    starts = np.cumsum([0, *(len(s.store) for s in sets)])
    where = [s.where + start for s, start in zip(sets, starts, strict=False)]
    return ImageSet(classes, np.concatenate(labels), ChainStore([s.store for s in sets]), np.concatenate(where))

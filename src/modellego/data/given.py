"""Images as people hold them (PIL images, arrays, tensors, paths, lists of these), to be read one by one."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from modellego.data.decode import image_files, pixels_of, read_file
from modellego.data.store import Pixels, Store
from modellego.errors import DataError

GivenImage: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[np.generic] | Tensor
GivenImages: TypeAlias = GivenImage | Iterable[GivenImage] | Store


class GivenStore:
    """Images of any sizes, each a file's path, a PIL image or an array `[h, w, c]`."""

    def __init__(self, images: Sequence[Path | Image.Image | Pixels]) -> None:
        self.images = tuple(images)

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """The file's path, or the image's number."""
        image = self.images[index]
        return str(image) if isinstance(image, Path) else f"image {index}"

    def read(self, index: int) -> Pixels:
        """The image's pixels."""
        image = self.images[index]
        if isinstance(image, Path):
            return read_file(image)
        if not isinstance(image, Image.Image):
            return image
        try:
            image.load()
        except OSError as error:  # opened, and only now found to be cut off
            raise DataError(f"{self.name(index)} cannot be decoded ({error}): replace or remove it") from error
        return pixels_of(image, self.name(index))


def image_store(images: GivenImages) -> Store:
    """Return one image, or many, as a store.

    Paths of files and folders; PIL images; NumPy arrays `[h, w]`, `[h, w, c]` or `[n, h, w, c]` (1 or 3 channels);
    tensors `[c, h, w]` or `[n, c, h, w]`; lists of any of these. Bytes (uint8), or floats in [0,1].

    Raises:
        DataError: floats outside [0,1], other types or shapes, a path that is not there.

    >>> len(image_store(np.zeros((4, 5, 3), np.uint8))), len(image_store([torch.rand(3, 4, 5), torch.rand(1, 9, 9)]))
    (1, 2)
    """
    if isinstance(images, Store):
        return images
    return GivenStore(_flat(images))


def _flat(images: GivenImage | Iterable[GivenImage]) -> list[Path | Image.Image | Pixels]:
    if isinstance(images, str | os.PathLike):
        return list(image_files([images]))
    if isinstance(images, Image.Image):
        return [images]
    if isinstance(images, Tensor):
        return list(_of_tensor(images))
    if isinstance(images, np.ndarray):
        return list(_of_array(images))
    if not isinstance(images, Iterable):
        raise DataError(
            f"images are paths, PIL images, arrays, tensors, or lists of these, not a {type(images).__name__}"
        )
    return [image for one in images for image in _flat(one)]


def check_range(images: NDArray[np.generic] | Tensor) -> None:
    """Refuse floats that are no image in [0,1], saying what they may be.

    Raises:
        DataError: values below 0, above 1, or no numbers.

    >>> check_range(torch.full((1, 2, 2), 255.0))
    Traceback (most recent call last):
    modellego.errors.DataError: float images must lie in [0,1] and these go up to 255: divide bytes by 255
    """
    if not len(images) or not (images.numel() if isinstance(images, Tensor) else images.size):
        return
    low, high = float(images.min()), float(images.max())
    if low >= 0 and high <= 1:
        return
    if low >= 0:
        raise DataError(f"float images must lie in [0,1] and these go up to {high:g}: divide bytes by 255")
    raise DataError(
        f"float images must lie in [0,1] and these go from {low:g} to {high:g}: leave normalisation to the brick"
    )


def _of_tensor(images: Tensor) -> list[Pixels]:
    if images.ndim not in (3, 4):
        raise DataError(f"a tensor of images has the shape [c, h, w] or [n, c, h, w], not {list(images.shape)}")
    if not (images.is_floating_point() or images.dtype == torch.uint8):
        raise DataError(f"images must be floats in [0,1] or uint8, not {images.dtype}")
    many = images.detach().cpu().reshape(-1, *images.shape[-3:]).permute(0, 2, 3, 1)
    return _checked((many if many.dtype == torch.uint8 else many.float()).numpy())


def _of_array(images: NDArray[np.generic]) -> list[Pixels]:
    if not (images.dtype == np.uint8 or np.issubdtype(images.dtype, np.floating)):
        raise DataError(f"images must be uint8 or floats in [0,1], not {images.dtype}")
    shape = images.shape
    if len(shape) == 2:
        images = images[:, :, None]
    if images.ndim not in (3, 4) or images.shape[-1] not in (1, 3):
        raise DataError(
            f"an array of images has the shape [h, w], [h, w, c] or [n, h, w, c], c 1 or 3, not {list(shape)}"
        )
    many = images if images.ndim == 4 else images[None]
    return _checked(many if many.dtype == np.uint8 else many.astype(np.float32))


def _checked(many: NDArray[np.generic]) -> list[Pixels]:
    if many.dtype != np.uint8:
        check_range(many)
    return list(many)

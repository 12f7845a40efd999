"""Image files and bytes -> arrays `[h, w, c]` of bytes, c = 1 (grey) or 3 (RGB)."""

import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from modellego.errors import DataError

SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "tga", "jp2", "avif"),
    )
)
MAX_BYTES = 2**30  # of one image file
# Trying one decoder, not all, makes small images twice as fast
MAGIC = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG", "PNG"), (b"BM", "BMP"), (b"GIF8", "GIF"))


def decode(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode an image's bytes to uint8 `[h, w, 1]` where the image is grey, else `[h, w, 3]` (RGB).

    Transparency is dropped, 16-bit grey is brought to 8 bits, palettes and CMYK become RGB, the camera's
    rotation is undone, an animation gives its first frame. Raises `DataError` with `name` where the bytes
    are no whole image.
    """
    if not data:
        raise DataError(f"{name} is empty: replace or remove it")
    try:
        with Image.open(io.BytesIO(data), formats=_formats(data)) as image:
            image.load()
            return pixels_of(image, name)
    except DataError:
        raise
    except Exception as error:  # Pillow raises nearly anything on broken bytes
        reason = "unknown image format" if "cannot identify" in str(error) else str(error)
        raise DataError(f"{name} cannot be decoded ({reason}): replace or remove it") from error


def _formats(data: bytes) -> list[str] | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ["WEBP"]
    return next(([form] for magic, form in MAGIC if data.startswith(magic)), None)


def pixels_of(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """The image's pixels, whatever its mode."""
    if "exif" in image.info:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # I;16 and its byte orders; I holds 16-bit values too, by old habit
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise DataError(f"{name} has pixels beyond 16 bits: save it with 8 or 16 bits per channel")
        bytes_: NDArray[np.uint8] = ((values + 128) // 257).astype(np.uint8)
        return bytes_[..., None]
    if image.mode == "F":
        reals = np.asarray(image, dtype=np.float32)
        if not (reals.min() >= 0 and reals.max() <= 1):
            raise DataError(f"{name} has float pixels outside [0,1]: save it with 8 or 16 bits per channel")
        rounded: NDArray[np.uint8] = np.rint(reals * 255).astype(np.uint8)
        return rounded[..., None]
    grey = image.mode in {"1", "L", "LA", "La"}
    wanted = "L" if grey else "RGB"
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns on the direct way
    plain = image if image.mode == wanted else image.convert(wanted)
    pixels: NDArray[np.uint8] = np.asarray(plain, dtype=np.uint8)
    return pixels[..., None] if grey else pixels


def read_file(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Decode an image file to uint8 `[h, w, c]`; raises `DataError` naming the file."""
    return decode(read_plain(path), str(path))


def read_plain(path: str | os.PathLike[str]) -> bytes:
    """Read a plain file, or what a link to one leads to: a pipe would wait for ever, and `/dev/zero` never end.

    Raises `DataError` naming the file where it is none, larger than 1 GiB or cannot be read.
    """
    try:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{path} is not a plain file: replace or remove it")
            if status.st_size > MAX_BYTES:
                raise DataError(f"{path} has more than {MAX_BYTES >> 20} MiB: replace or remove it")
            return file.read(status.st_size)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def load_image(path: str | os.PathLike[str]) -> Tensor:
    """Read an image file as float32 `[c, h, w]` in [0,1], c = 1 or 3; raises `DataError` naming the file."""
    return to_float(read_file(path)).squeeze(0)


def image_files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """List image files, each folder replaced by the images below it, sorted; for images without labels.

    Raises `DataError` for a missing path and for a folder without images.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            below = images_below(path)
            if not below:
                raise DataError(f"{path} holds no images")
            found += below
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"there is no image {path}")
    return found


def images_below(folder: Path) -> list[Path]:
    """All image files below a folder, sorted, hidden ones left out; links to folders are followed.

    Raises `DataError` for a link that leads to a folder that is read anyway, around it or below it: its images would
    come twice, perhaps as another class.
    """
    found: list[Path] = []
    seen: dict[str, str] = {}
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        around = os.path.islink(root) and os.path.realpath(folder).startswith(real.rstrip(os.sep) + os.sep)
        if real in seen or around:
            raise DataError(f"{root} is a link to {seen.get(real, real)}, which is read already: remove one of them")
        seen[real] = root
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__")))
        found += [Path(root, f) for f in files if not f.startswith(".") and Path(f).suffix.lower() in SUFFIXES]
    return sorted(found)


def to_float(*arrays: NDArray[np.uint8] | NDArray[np.float32]) -> Tensor:
    """Stack arrays `[h, w, c]` of one size to float32 `[n, c, h, w]`; bytes are divided by 255.

    >>> to_float(np.full((2, 2, 1), 255, np.uint8)).unique()
    tensor([1.])
    """
    stack = torch.from_numpy(np.stack(arrays))
    whole = stack.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return whole.div_(255) if stack.dtype == torch.uint8 else whole

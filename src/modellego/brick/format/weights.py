"""The weights file: every tensor is compared to what the document asks for before memory is given out."""

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch

from modellego.brick.format.document import read_json
from modellego.brick.format.graph import Expected
from modellego.errors import FormatError

MAX_HEADER = 2**20  # and some bytes per tensor
_NAMES: dict[str, torch.dtype] = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "BOOL": torch.bool,
}


@contextlib.contextmanager
def open_plain(name: str, folder: int | Path) -> Iterator[BinaryIO]:
    """Open a plain file (no link, pipe or device) of a directory, given by its path or, where the system can, opened.

    Raises:
        FormatError: it is missing, something else than a plain file, or unreadable.
    """
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        where: dict[str, Any] = {"dir_fd": folder} if isinstance(folder, int) else {}
        path = name if isinstance(folder, int) else folder / name
        if stat.S_ISLNK(os.stat(path, follow_symlinks=False, **where).st_mode):
            raise FormatError(f"{name} is a symbolic link: copy the file it points to into the brick's directory")
        with os.fdopen(os.open(path, flags, **where), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FormatError(f"{name} is not a plain file")
            yield file
    except FileNotFoundError:
        raise MissingFileError(f"there is no {name}: this is not a brick, or an incomplete one") from None
    except OSError as error:
        raise FormatError(f"{name} cannot be read: {error.strerror}") from None


def read_plain_file(name: str, folder: int | Path, limit: int) -> bytes:
    """Read a plain file of at most `limit` bytes; `folder` as in `open_plain`.

    Raises:
        FormatError: as `open_plain`, or the file is too large.
    """
    with open_plain(name, folder) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise FormatError(f"{name} has {size} bytes, more than the {limit} it may have")
        return file.read(size)


def read_weights(name: str, folder: int | Path, wanted: Mapping[str, Expected]) -> dict[str, torch.Tensor]:
    """Read a safetensors file that must hold exactly the `wanted` tensors; `folder` as in `open_plain`.

    The header is read and checked before anything else, so that no more is read than what is wanted.

    Raises:
        FormatError: it is broken, or tensors are missing, too many, or of another shape or dtype.
    """
    with open_plain(name, folder) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        room = MAX_HEADER + sum(6 * len(key) + 512 for key in wanted)
        if size < 8 or length > min(room, size - 8):
            raise FormatError(f"{name} is cut off or not a safetensors file: its header does not fit into it")
        header = read_json(file.read(length), f"the header of {name}")
        places = _check_header(header, name, wanted, size - 8 - length)
        tensors = {}
        for key in places:  # in the order in which they lie in the file
            tensors[key] = torch.empty(wanted[key].shape, dtype=wanted[key].dtype)
            _fill(tensors[key], file, name)
        return {key: tensors[key] for key in wanted}


def _fill(tensor: torch.Tensor, file: BinaryIO, name: str) -> None:
    if tensor.numel() == 0:
        return
    data = tensor.reshape(-1).view(torch.uint8).numpy().data
    if file.readinto(data) != len(data):  # type: ignore[attr-defined]
        raise FormatError(f"{name} is cut off: it was changed while it was read")
    if tensor.dtype == torch.bool:  # a byte of a bool is 0 or 1, and nothing else
        tensor.copy_(tensor.view(torch.uint8) != 0)


class MissingFileError(FormatError):
    """A file of a brick is not there, perhaps because the directory has just been replaced."""


def _numel(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:  # Python's integers, which do not overflow
        count *= length
    return count


def _check_header(header: Any, name: str, wanted: Mapping[str, Expected], room: int) -> list[str]:
    """Check that a header describes just the wanted tensors, one behind the other, and return them in that order."""
    if not isinstance(header, dict):
        raise FormatError(f"the header of {name} is not an object")
    header.pop("__metadata__", None)
    missing, extra = sorted(set(wanted) - set(header)), sorted(set(header) - set(wanted))
    if missing or extra:
        what = (
            f"lacks the tensor {missing[0]}" if missing else f"holds the tensor {extra[0][:80]!r}, which no layer has"
        )
        more = len(missing) + len(extra) - 1
        raise FormatError(f"{name} {what}" + (f" (and {more} more differ)" if more else ""))
    for key, entry in header.items():
        _check_entry(name, key, entry, wanted[key], room)
    order = sorted(header, key=lambda key: header[key]["data_offsets"])
    end = 0
    for key in order:
        if header[key]["data_offsets"][0] != end:
            raise FormatError(f"{name} is broken: the bytes of tensor {key} do not follow those of the one before")
        end = header[key]["data_offsets"][1]
    if end != room:
        raise FormatError(f"{name} is broken: it holds {room - end} bytes that belong to no tensor")
    return order


def _check_entry(name: str, key: str, entry: Any, wanted: Expected, room: int) -> None:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]} if len(entry) == 3:
            pass
        case _:
            raise FormatError(f"{name} describes the tensor {key} wrongly: {json.dumps(entry)[:80]}")
    if _NAMES.get(dtype) != wanted.dtype:
        raise FormatError(f"tensor {key} is {dtype} in {name}; its layer asks for {wanted.dtype}")
    if tuple(shape) != wanted.shape:
        raise FormatError(f"tensor {key} has shape {shape} in {name}; its layer asks for {list(wanted.shape)}"[:400])
    if not 0 <= begin <= end <= room or end - begin != _numel(wanted.shape) * wanted.dtype.itemsize:
        raise FormatError(f"{name} is cut off or broken: the bytes of tensor {key} are not all there")


def dump_weights(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Return the bytes of a safetensors file; the same bytes for the same tensors, whatever their order."""
    plain = {
        name: tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)
        for name, tensor in sorted(tensors.items())
    }
    return safetensors.torch.save(plain, metadata={"format": "pt"})

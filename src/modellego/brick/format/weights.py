"""The weights file: every tensor is compared to what the document asks for before memory is given out."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from modellego.brick.format.document import read_json
from modellego.brick.format.graph import Expected
from modellego.errors import FormatError

MAX_HEADER = 2**26
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


def read_plain_file(path: Path, limit: int) -> bytes:
    """Read a file that must be a plain one (no link, pipe or device) of at most `limit` bytes.

    Raises:
        FormatError: it is missing, something else than a plain file, unreadable or too large.
    """
    name = path.name
    try:
        if path.is_symlink():
            raise FormatError(f"{name} is a symbolic link: copy the file it points to into the brick's directory")
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FormatError(f"{name} is not a plain file")
            if status.st_size > limit:
                raise FormatError(f"{name} has {status.st_size} bytes, more than the {limit} it may have")
            return file.read(status.st_size)
    except FileNotFoundError:
        raise FormatError(f"there is no {name}: this is no brick, or an incomplete one") from None
    except OSError as error:
        raise FormatError(f"{name} cannot be read: {error.strerror}") from None


def read_weights(path: Path, wanted: Mapping[str, Expected]) -> dict[str, torch.Tensor]:
    """Read a safetensors file that must hold exactly the `wanted` tensors.

    Raises:
        FormatError: it is broken, or tensors are missing, too many, or of another shape or dtype.
    """
    size = sum(e.dtype.itemsize * _numel(e.shape) for e in wanted.values())
    data = read_plain_file(path, size + MAX_HEADER)
    _check_header(data, path.name, wanted)
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise FormatError(f"{path.name} is broken: {error}") from error


def _numel(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:  # Python's integers, which do not overflow
        count *= length
    return count


def _check_header(data: bytes, name: str, wanted: Mapping[str, Expected]) -> None:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(MAX_HEADER, len(data) - 8):
        raise FormatError(f"{name} is cut off or no safetensors file: its header does not fit into it")
    header = read_json(data[8 : 8 + length], f"the header of {name}")
    if not isinstance(header, dict):
        raise FormatError(f"the header of {name} is no object")
    header.pop("__metadata__", None)
    missing, extra = sorted(set(wanted) - set(header)), sorted(set(header) - set(wanted))
    if missing or extra:
        what = (
            f"lacks the tensor {missing[0]}" if missing else f"holds the tensor {extra[0][:80]!r}, which no layer has"
        )
        more = len(missing) + len(extra) - 1
        raise FormatError(f"{name} {what}" + (f" (and {more} more differ)" if more else ""))
    for key, entry in header.items():
        _check_entry(name, key, entry, wanted[key], len(data) - 8 - length)


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

"""A shelf for tensors: in memory up to a number of bytes, beyond that in a temporary file that has no name."""

import tempfile
from collections.abc import Hashable
from dataclasses import dataclass
from io import BufferedRandom
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from modellego.errors import LegoError


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies in the file, and what it was."""

    start: int
    like: Tensor  # empty, of the tensor's dtype and device
    shape: tuple[int, ...]


class Shelf:
    """Keeps tensors by key; what is read back equals what was put, wherever it lay in between.

    The file is read and written, not mapped, so that it does not count as memory of the process. It lies where Python
    puts temporary files (`TMPDIR`) and is gone with the shelf.

    >>> with Shelf(memory=16) as shelf:
    ...     shelf.put("small", torch.ones(2))
    ...     shelf.put("large", torch.arange(6.0).reshape(2, 3))
    ...     shelf.get("large"), shelf.spilled
    (tensor([[0., 1., 2.],
            [3., 4., 5.]]), 24)
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.spilled = 0
        self._held: dict[Hashable, Tensor] = {}
        self._places: dict[Hashable, _Place] = {}
        self._file: BufferedRandom | None = None

    def __enter__(self) -> "Shelf":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def put(self, key: Hashable, tensor: Tensor) -> None:
        """Keep a tensor under a key that is not taken.

        Raises:
            LegoError: the file cannot be written, most likely because the disk is full.
        """
        size = tensor.numel() * tensor.element_size()
        if size <= self.memory:
            self.memory -= size
            self._held[key] = tensor
            return
        try:
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the shelf)
            self._file.seek(self.spilled)
            self._file.write(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        except OSError as error:
            folder = tempfile.gettempdir()
            raise LegoError(
                f"{self.spilled + size:,} bytes of feature maps do not fit in {folder} ({error.strerror}): give fewer "
                "images, more memory, or set TMPDIR to a folder with more room"
            ) from error
        self._places[key] = _Place(self.spilled, tensor.detach().new_empty(0), tuple(tensor.shape))
        self.spilled += size

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held or key in self._places

    def get(self, key: Hashable) -> Tensor:
        """Return what was put under a key."""
        if key in self._held:
            return self._held[key]
        place = self._places[key]
        assert self._file is not None
        size = int(np.prod(place.shape, dtype=np.int64)) * place.like.element_size()
        buffer = torch.empty(size, dtype=torch.uint8)
        self._file.seek(place.start)
        self._file.readinto(buffer.numpy().data)
        return buffer.view(place.like.dtype).reshape(place.shape).to(place.like.device)

    def take(self, key: Hashable) -> Tensor:
        """Return what was put under a key and forget it; its memory is free again."""
        if key not in self._held:
            found = self.get(key)
            del self._places[key]
            return found
        tensor = self._held.pop(key)
        self.memory += tensor.numel() * tensor.element_size()
        return tensor

    def clear(self) -> None:
        """Forget everything, the file too."""
        for key in list(self._held):
            self.take(key)
        self._places.clear()
        self.spilled = 0
        if self._file is not None:
            self._file.close()
            self._file = None

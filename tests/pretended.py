"""A GPU that is not there, so that what a GPU would refuse is refused on any machine.

Tensors moved to `cuda:0` stay in memory and are marked. Work that mixes them with others, or hands them to NumPy,
raises as it would with a GPU; what comes of marked tensors is marked.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from modellego.contribution import windows

GPU, CPU = torch.device("cuda:0"), torch.device("cpu")
BETWEEN = ("copy_", "__set__", "_has_compatible_shallow_copy_type")  # what may stand between devices
INDEXED = ("__getitem__", "__setitem__")  # what may be indexed by tensors of the CPU


class Pretended(TorchFunctionMode):
    """Marks tensors as lying on a GPU; `moved` counts those that were brought there."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0
        self._marked: dict[int, StorageWeakRef] = {}  # a weak reference keeps the number from being given again

    def on_gpu(self, tensor: Tensor) -> bool:
        """Whether a tensor lies there."""
        with torch._C.DisableTorchFunction():
            return StorageWeakRef(tensor.untyped_storage()).cdata in self._marked

    def _mark(self, results: object) -> None:
        with torch._C.DisableTorchFunction():
            for found in tensors_of(results):
                reference = StorageWeakRef(found.untyped_storage())
                self._marked[reference.cdata] = reference

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = tensors_of((args, kwargs))
        if any(isinstance(t, FakeTensor) for t in given):
            return func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        here = [t for t in given if self.on_gpu(t)]
        if func == Tensor.device.__get__:  # type: ignore[attr-defined]
            return GPU if here else CPU
        if func in (Tensor.to, Tensor.cpu):
            return self._moved(args[0], CPU if func is Tensor.cpu else None, *args[1:], **kwargs)
        if here and name in ("numpy", "__array__"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        elsewhere = [t for t in given if t.dim() > 0 and not self.on_gpu(t)]
        if here and elsewhere and name not in BETWEEN and not (name in INDEXED and self.on_gpu(args[0])):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, cuda:0 and cpu")
        wanted = kwargs.get("device")
        made_there = bool(here) if wanted is None else torch.device(wanted) == GPU
        if made_there and wanted is not None:
            kwargs["device"] = CPU
        found = func(*args, **kwargs)
        if made_there and name not in (*BETWEEN, "untyped_storage"):
            self._mark(found)
        return found

    def _moved(self, tensor: Tensor, target: object, *args: Any, **kwargs: Any) -> Tensor:
        """Bring a tensor to where `Tensor.to` was told to, and to the dtype it was told."""
        was = self.on_gpu(tensor)
        dtype = kwargs.get("dtype")
        for value in (kwargs.get("device"), *args):
            if isinstance(value, torch.device | str):
                target = torch.device(value)
            elif isinstance(value, Tensor):
                target, dtype = GPU if self.on_gpu(value) else CPU, value.dtype
            elif isinstance(value, torch.dtype):
                dtype = value
        there = was if target is None else target == GPU
        with torch._C.DisableTorchFunction():
            found = tensor.to(dtype or tensor.dtype, copy=there != was)
        if there and found is not tensor:
            self._mark(found)
            self.moved += not was
        return found


def tensors_of(values: object) -> list[Tensor]:
    """Return the tensors in whatever holds them."""
    return [value for value in tree_flatten(values)[0] if isinstance(value, Tensor)]


@contextmanager
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """Pretend that there is one GPU while the block runs."""
    windows._matrices.cache_clear()  # which keeps tensors by device
    monkeypatch.setattr("modellego.devices.known_devices", lambda: ("cpu", "cuda:0"))
    monkeypatch.setattr("torch.accelerator.synchronize", lambda device: None)
    monkeypatch.setattr("torch.random.fork_rng", lambda devices: nullcontext())
    with Pretended() as gpu:
        yield gpu
    windows._matrices.cache_clear()

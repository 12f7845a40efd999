"""What a brick may cost to check and to run, by the bytes that were given: more bytes, more of everything.

A dry run counts on tensors without data, below composite ops (an `einsum` by the products it is made of).
"""

import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from modellego.errors import FormatError

_MiB = 2**20
_TOUCH = 8  # multiply-adds that reading or writing one element counts for
_META = torch.device("meta")
_SLOW = 16  # times that, where elements are sorted, looked up or transformed


@dataclass
class Limits:
    """What is left to spend: bytes alive at once and multiply-adds, per image, and calls of ops in the dry run.

    >>> Limits.of(0).live_bytes >> 20
    320
    """

    live_bytes: int
    work: float
    calls: int

    @classmethod
    def of(cls, given_bytes: int) -> "Limits":
        """Return the limits of a brick whose files hold so many bytes.

        A network that people train needs some 16 times its weights alive at most, and uses a weight some
        10,000 times per image (VGG-16 on 1024 x 1024); the rest lets tiny networks look at large images.
        """
        return cls(320 * _MiB + 16 * given_bytes, float(2**34 + 2**13 * given_bytes), 25_000 + given_bytes // 64)


class Ledger(TorchDispatchMode):
    """Watches every op that torch runs, however deep, and raises `FormatError` once the limits is spent.

    `batch` images are in the run: bytes and work are counted per image. `meta` tells that tensors lie on the meta
    device; then new ones do too.
    """

    def __init__(self, limits: Limits, batch: int, meta: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.limits = limits
        self.batch = batch
        self.meta = meta
        self.work = 0.0
        self.live = 0
        self._tensors: dict[int, int] = {}  # of a storage, how many tensors show it
        self._known: dict[Any, tuple[Any, _Cost]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one op and count it."""
        kwargs = dict(kwargs or {})
        key = None
        if self.meta:
            args = tuple(_META if isinstance(a, torch.device) else a for a in args)
            if any(a.name == "device" and a.kwarg_only for a in func._schema.arguments):
                kwargs["device"] = _META
            key = _key(func, args, kwargs)
            if key in self._known:
                result, cost = _again(self._known[key])
                self._count(result, cost)
                return result
        keeps = func in _KEEPS_SHAPE and _is_dense(args[0]) and len(args) == 1 and not kwargs
        self._call(1 if keeps else _COSTLY.get(func._overloadpacket.__name__, _CALL))
        result = torch.empty_like(args[0]) if keeps else func(*args, **kwargs)
        made = [t for t in _tensors(result) if t.untyped_storage()._cdata not in self._tensors]
        cost = _cost(func, args, kwargs, result, made) if made else _Cost()
        if key is not None and made and len(made) == len(list(_tensors(result))):
            self._known[key] = result if isinstance(result, torch.Tensor) else tuple(result), cost
        self._count(result, cost)
        return result

    def _call(self, calls: int) -> None:
        self.limits.calls -= calls
        if self.limits.calls < 0:
            raise FormatError("the graph is made of more calls than the brick's bytes justify")

    def _count(self, result: Any, cost: "_Cost") -> None:
        self._call(1)
        for tensor in _tensors(result):
            self._keep(tensor)
        self.work += cost.work
        if self.live + cost.inside > self.limits.live_bytes * self.batch:
            raise FormatError(
                f"it needs {(self.live + cost.inside) / self.batch / _MiB:,.0f} MiB per image, more than the "
                f"{self.limits.live_bytes / _MiB:,.0f} MiB that the brick's bytes justify"
            )
        if self.work > self.limits.work * self.batch:
            raise FormatError("the graph takes more work per image than the brick's bytes justify")

    def _keep(self, tensor: torch.Tensor) -> None:
        """Count a tensor's memory while it lives; views share theirs."""
        self._call(1)
        storage = tensor.untyped_storage()
        key, size = storage._cdata, _whole(storage.nbytes())
        if key not in self._tensors:
            self._tensors[key] = 0
            self.live += size
        self._tensors[key] += 1
        weakref.finalize(tensor, self._drop, key, size).atexit = False

    def _drop(self, key: int, size: int) -> None:
        self._tensors[key] -= 1
        if not self._tensors[key]:
            del self._tensors[key]
            self.live -= size


@dataclass(frozen=True)
class _Cost:
    """The multiply-adds of one op, and the bytes it holds while it runs beside what it gives."""

    work: float = 0.0
    inside: int = 0


def _cost(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, made: list[torch.Tensor]) -> _Cost:
    inputs = list(_tensors(args))
    out = sum(map(_numel, made))
    work = float(_TOUCH * (out + sum(map(_numel, inputs))))
    name = func._overloadpacket.__name__
    if func._overloadpacket in flop_registry:
        work += flop_registry[func._overloadpacket](*args, **kwargs, out_val=result) / 2
    elif name == "_cdist_forward":
        work += out * _whole(inputs[0].shape[-1])
    elif name in _WINDOWED:
        work += out * math.prod(_window(args[1]))
    elif name in _SLOW_ELEMENTS:
        work *= _SLOW
    return _Cost(work, _columns(args, result) if name == "convolution" else 0)


def _key(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what decides an op's result but for its data."""
    return func, _described(args), _described(tuple(sorted(kwargs.items())))


def _described(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.shape, value.stride(), value.dtype
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_described, value))
    return type(value), value


def _again(known: tuple[Any, _Cost]) -> tuple[Any, _Cost]:
    """Return new tensors like those an op gave before for arguments of the same shapes."""
    result, cost = known
    if isinstance(result, torch.Tensor):
        return torch.empty_strided(result.shape, result.stride(), dtype=result.dtype, device="meta"), cost
    return tuple(_again((item, cost))[0] for item in result), cost


def _is_dense(tensor: Any) -> bool:
    return isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.is_contiguous()


_aten = torch.ops.aten
# ops that keep shape, dtype and strides, and that torch takes long to work out without data
_KEEPS_SHAPE = {
    _aten.relu.default, _aten.gelu.default, _aten.silu.default, _aten.sigmoid.default, _aten.tanh.default,
    _aten.hardswish.default, _aten.hardsigmoid.default, _aten.relu6.default, _aten.mish.default,
}  # fmt: skip
_CALL = 50  # calls of a cheap op that one whose result has to be worked out counts for
_COSTLY = {
    "native_layer_norm": 100, "native_group_norm": 100, "native_batch_norm": 100, "_native_batch_norm_legit": 100,
    "_scaled_dot_product_flash_attention_for_cpu": 100, "upsample_linear1d": 2000, "upsample_bilinear2d": 2000,
    "upsample_bicubic2d": 2000, "_upsample_bilinear2d_aa": 2000, "_upsample_bicubic2d_aa": 2000,
    "grid_sampler_2d": 2000,
}  # fmt: skip
_WINDOWED = {"avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d"}
_SLOW_ELEMENTS = {
    "sort", "topk", "index", "index_put", "index_add", "index_reduce", "index_select", "gather", "scatter",
    "scatter_add", "scatter_reduce", "embedding", "grid_sampler_2d", "grid_sampler_3d", "_fft_r2c", "_fft_c2r",
    "_fft_c2c", "cumsum", "nonzero", "masked_select", "upsample_bicubic2d", "_upsample_bicubic2d_aa",
}  # fmt: skip


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _whole(size: Any) -> int:
    """A size that depends on the data (edges left of a graph) is taken for 1."""
    return size if isinstance(size, int) else 1


def _numel(tensor: torch.Tensor) -> int:
    return math.prod(map(_whole, tensor.shape))


def _window(size: Any) -> list[int]:
    return [int(s) for s in size] if isinstance(size, list | tuple) else [int(size)]


def _columns(args: tuple[Any, ...], result: torch.Tensor) -> int:
    """Return the bytes of the unfolded input that a convolution makes where oneDNN does not serve it."""
    weight = args[1]
    if weight.dtype == torch.float32:
        return 0
    places = _numel(result) // max(1, _whole(result.shape[1]))
    return places * (_numel(weight) // max(1, _whole(weight.shape[0]))) * int(weight.dtype.itemsize)

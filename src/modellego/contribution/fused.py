"""The fused loop: dot over kernel offsets, rectify, sum over samples, nothing of samples x out x in held.

Two forms of the same loop: a compiled one (numba, the extra `fast`; CPU only) and blocks of batched matrix
products that stay in cache (torch alone, any device). `backend="auto"` takes the compiled one where it is
installed and pays.
"""

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from modellego.errors import MissingExtraError

Backend = Literal["auto", "numba", "torch"]
MOST_TAPS = 25  # larger kernels stand in the first layer, on few channels: not worth compiling a loop for
LEAST_WEIGHTS = 1 << 13  # channel pairs below which loading the compiled loop does not pay
BLOCK_BYTES = 1 << 20  # what a block of products may fill: about one core's second-level cache
DEVICE_BYTES = 1 << 28  # on other devices, where each block costs a wait


def pack(weight: Tensor, groups: int) -> Tensor:
    """Lay out a weight `[Q, P/groups, *kernel]` for the loop: `[P, K, Q/groups]`, output channels innermost.

    >>> pack(torch.zeros(8, 3, 5, 5), groups=2).shape
    torch.Size([6, 25, 4])
    """
    q, p = weight.shape[:2]
    whole = weight.detach().reshape(groups, q // groups, -1).transpose(1, 2).contiguous()
    return whole.view(groups * p, -1, q // groups)


def add_rectified(total: Tensor, sums: Tensor, packed: Tensor, backend: Backend = "auto") -> None:
    """Add `sum_n max(sum_k sums[n,p,k] packed[p,k,q], 0)` to `total` `[P, Q/groups]` (float64), in place.

    `sums` is `[N, P, K]`, `packed` `[P, K, Q/groups]`, both of one floating dtype and on one device; `total` may lie on
    another. Raises `MissingExtraError` where `backend="numba"` is asked for and numba is not installed. Source: the
    rectified contribution of p to q, Model LEGO (arXiv 2203.13453).

    >>> total = torch.zeros(1, 2, dtype=torch.float64)
    >>> add_rectified(total, torch.tensor([[[1., 2.]], [[3., 0.]]]), torch.tensor([[[1., -1.], [1., -1.]]]))
    >>> total
    tensor([[6., 0.]], dtype=torch.float64)
    """
    if backend == "numba" and not _numba_works():
        raise MissingExtraError("numba", "fast")
    compiled = backend == "numba" or (
        backend == "auto"
        and sums.shape[2] <= MOST_TAPS
        and total.numel() >= LEAST_WEIGHTS
        and sums.device.type == "cpu"
        and _numba_works()
    )
    if compiled:
        _threaded_loop(total, sums, packed)
    else:
        _torch_loop(total, sums, packed)


def _threaded_loop(total: Tensor, sums: Tensor, packed: Tensor) -> None:
    """The compiled loop over chunks of input channels, in as many threads as torch may use."""
    arrays = sums.detach().contiguous().numpy(), packed.numpy(), total.numpy()
    loop = _compiled_loop(sums.shape[2])
    loop(*arrays, 0, 0)  # compiled, or read from disk, before the threads start
    channels, workers = len(total), torch.get_num_threads()
    step = max(1, channels // (4 * workers))
    chunks = iter(range(0, channels, step))

    def work() -> None:
        for start in chunks:
            loop(*arrays, start, min(channels, start + step))

    helpers = [threading.Thread(target=work) for _ in range(min(workers - 1, channels // step))]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()


def _torch_loop(total: Tensor, sums: Tensor, packed: Tensor) -> None:
    """The loop as batched matrix products over blocks of input channels."""
    n, p, _ = sums.shape
    q = packed.shape[2]
    room = BLOCK_BYTES if sums.device.type == "cpu" else DEVICE_BYTES
    block = max(1, min(p, room // max(1, n * q * sums.element_size())))
    by_channel = sums.transpose(0, 1)
    for start in range(0, p, block):
        part = torch.bmm(by_channel[start : start + block], packed[start : start + block])
        total[start : start + block] += part.clamp_(min=0).sum(1).to(total.device)


@lru_cache(maxsize=1)
def _numba_works() -> bool:
    """Whether numba is there and can be loaded (beside some versions of numpy it cannot)."""
    try:
        import numba  # noqa: F401
    except Exception:
        return False
    return True


@lru_cache(maxsize=MOST_TAPS)
def _compiled_loop(taps: int) -> Callable[..., None]:
    """The compiled loop for one number of offsets, which being constant unrolls; numba keeps it on disk.

    Eight samples share each load of the weights, output channels run innermost so that they fill the vector
    registers.
    """
    import numba

    def loop(sums: Any, packed: Any, total: Any, first: int, last: int) -> None:  # pragma: no cover - compiled
        samples = sums.shape[0]
        outputs = packed.shape[2]
        zero = packed.dtype.type(0)
        for p in range(first, last):
            w = packed[p]
            added = np.zeros(outputs, packed.dtype)
            s = np.empty((8, taps), packed.dtype)
            for start in range(0, samples - 7, 8):
                for j in range(8):
                    for k in range(taps):
                        s[j, k] = sums[start + j, p, k]
                for q in range(outputs):
                    a0 = zero
                    a1 = zero
                    a2 = zero
                    a3 = zero
                    a4 = zero
                    a5 = zero
                    a6 = zero
                    a7 = zero
                    for k in range(taps):
                        v = w[k, q]
                        a0 += s[0, k] * v
                        a1 += s[1, k] * v
                        a2 += s[2, k] * v
                        a3 += s[3, k] * v
                        a4 += s[4, k] * v
                        a5 += s[5, k] * v
                        a6 += s[6, k] * v
                        a7 += s[7, k] * v
                    low = max(a0, zero) + max(a1, zero) + max(a2, zero) + max(a3, zero)
                    high = max(a4, zero) + max(a5, zero) + max(a6, zero) + max(a7, zero)
                    added[q] += low + high
            for n in range(samples - samples % 8, samples):
                for q in range(outputs):
                    a = zero
                    for k in range(taps):
                        a += sums[n, p, k] * w[k, q]
                    added[q] += max(a, zero)
            for q in range(outputs):
                total[p, q] += added[q]

    try:
        return numba.njit(fastmath=True, nogil=True, cache=True)(loop)
    except RuntimeError:  # no folder to keep it in
        return numba.njit(fastmath=True, nogil=True)(loop)

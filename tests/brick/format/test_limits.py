"""What a dry run counts: bytes alive, work, calls, to the last of each."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from modellego.brick.format.limits import Ledger, Limits
from modellego.errors import FormatError

META = torch.device("meta")


def counted(op: Callable[[], Tensor], live_bytes: int = 2**40, calls: int = 10**6) -> tuple[float, int]:
    """Return the work and the calls that an op takes under limits, for a batch of one."""
    limits = Limits(live_bytes, 1e18, calls)
    with Ledger(limits, 1, meta=True) as ledger:
        op()
    return ledger.work, calls - limits.calls


def on_meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(*shape, dtype=dtype, device=META)


def test_the_last_call_may_be_spent_and_no_more() -> None:
    x = on_meta(1, 4)
    _, calls = counted(lambda: x + 1)
    counted(lambda: x + 1, calls=calls)
    with pytest.raises(FormatError, match="more calls than the brick's bytes justify"):
        counted(lambda: x + 1, calls=calls - 1)


def test_activations_of_dense_tensors_are_cheap_to_check() -> None:
    dense, strided = on_meta(4, 6), on_meta(6, 4).t()
    assert counted(lambda: torch.ops.aten.gelu.default(dense))[1] < 5
    assert counted(lambda: torch.ops.aten.gelu.default(strided))[1] > 50


def test_distances_take_work_for_every_feature() -> None:
    def work(features: int) -> float:
        x, y = on_meta(30, features), on_meta(20, features)
        touched = 8 * (600 + 50 * features)
        return counted(lambda: torch.cdist(x, y, p=1.0))[0] - touched

    assert (work(4), work(40)) == (600 * 4, 600 * 40)


@pytest.mark.parametrize(("dtype", "inside"), [(torch.float32, 0), (torch.float64, 25 * 2 * 9 * 8)])
def test_a_convolution_holds_its_result_and_in_double_precision_its_unfolded_input(
    dtype: torch.dtype, inside: int
) -> None:
    x, weight = on_meta(1, 2, 7, 7, dtype=dtype), on_meta(3, 2, 3, 3, dtype=dtype)
    needed = 3 * 25 * dtype.itemsize + inside
    counted(lambda: F.conv2d(x, weight), live_bytes=needed)
    with pytest.raises(FormatError, match="MiB per image"):
        counted(lambda: F.conv2d(x, weight), live_bytes=needed - 1)

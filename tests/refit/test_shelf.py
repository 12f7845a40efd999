"""The shelf: what is read back equals what was put, in memory and on disk; memory is given back."""

import tempfile

import pytest
import torch

from modellego.errors import LegoError
from modellego.refit.shelf import Shelf


@pytest.mark.parametrize("memory", [0, 10**6], ids=["on disk", "in memory"])
@pytest.mark.parametrize(
    "tensor",
    [torch.rand(3, 4), torch.rand(3, 4).double().T, torch.arange(5), torch.rand(0, 7), torch.tensor(2.0)],
    ids=["plain", "transposed", "whole numbers", "empty", "no axis"],
)
def test_what_is_read_back_equals_what_was_put(memory: int, tensor: torch.Tensor) -> None:
    with Shelf(memory) as shelf:
        shelf.put("before", torch.ones(5))
        shelf.put("it", tensor)
        shelf.put("after", torch.zeros(5))
        found = shelf.get("it")
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor)


def test_only_what_exceeds_the_memory_goes_to_disk() -> None:
    with Shelf(8) as shelf:
        shelf.put("fits", torch.ones(2))
        assert shelf.spilled == 0
        shelf.put("does not", torch.ones(3))
        assert shelf.spilled == 12


def test_what_is_taken_makes_room() -> None:
    with Shelf(8) as shelf:
        shelf.put("first", torch.ones(2))
        assert shelf.take("first").tolist() == [1, 1]
        assert "first" not in shelf
        shelf.put("second", torch.ones(2))
        assert shelf.spilled == 0


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(LegoError, match=r"No space left.*TMPDIR"):
        Shelf(0).put("it", torch.ones(3))

"""Which of the two forms of the loop is taken, and what is said where there is no compiled one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from modellego.contribution import fused
from modellego.errors import MissingExtraError


def taken(monkeypatch: pytest.MonkeyPatch, channels: int, taps: int = 9) -> str:
    """Return which loop works out the sums of a layer of so many channels, both put out of action."""
    found: list[str] = []
    monkeypatch.setattr(fused, "_threaded_loop", lambda *arrays: found.append("compiled"))
    monkeypatch.setattr(fused, "_torch_loop", lambda *arrays: found.append("torch"))
    total = torch.zeros(channels, channels, dtype=torch.float64)
    fused.add_rectified(total, torch.zeros(1, channels, taps), torch.zeros(channels, taps, channels))
    return found[0]


def test_the_compiled_loop_is_taken_for_wide_layers_of_small_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="needs the extra fast")
    assert taken(monkeypatch, 96) == "compiled"
    assert taken(monkeypatch, 32) == "torch"
    assert taken(monkeypatch, 96, taps=49) == "torch"


@pytest.fixture
def broken_numba(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Stand for a numba that is installed and does not go with this numpy."""
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs an older NumPy')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    fused._numba_works.cache_clear()
    yield
    fused._numba_works.cache_clear()


@pytest.mark.usefixtures("broken_numba")
def test_a_numba_that_cannot_be_loaded_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fused._numba_works() is False
    assert taken(monkeypatch, 96) == "torch"
    with pytest.raises(MissingExtraError, match=r"modellego\[fast\]"):
        fused.add_rectified(torch.zeros(1, 1), torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), backend="numba")

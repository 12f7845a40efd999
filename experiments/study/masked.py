"""The masked reference of the tests, and how much memory things take (Linux)."""

import importlib.util
from pathlib import Path
from typing import Any

from torch import nn

from experiments.frame.commits import ROOT


def reference() -> Any:
    """Return the tests' module that says what a cut must equal."""
    spec = importlib.util.spec_from_file_location("reference_masked", ROOT / "tests" / "reference_masked.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def high_water(reset: bool = False) -> int:
    """Return the peak resident memory in bytes since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def numel(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in module.parameters())


def numel_bytes(module: nn.Module) -> int:
    """Return the bytes of parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))

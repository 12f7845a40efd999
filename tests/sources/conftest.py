"""What several tests of sources need."""

import contextlib
import sys

import pytest
import torch


@pytest.fixture(scope="session")
def torchvision() -> None:
    """torchvision's wheel needs two schemas declared beside a CPU-only torch."""
    if "torchvision" not in sys.modules:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for op in ("nms", "qnms"):
            with contextlib.suppress(RuntimeError):
                library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    pytest.importorskip("torchvision", exc_type=Exception)

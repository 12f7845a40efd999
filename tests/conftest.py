"""Fixtures shared by all tests: where the real data and the published models lie."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # how long an example takes is no reason to fail
settings.load_profile("any machine")
torch.set_num_threads(int(os.environ.get("MODELLEGO_TEST_THREADS", "1")))  # two workers share two cores


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and published models; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("MODELLEGO_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data at {folder} (set MODELLEGO_SHARED)")
    return folder

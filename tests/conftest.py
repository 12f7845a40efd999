"""Fixtures shared by all tests: where the real data and the published models lie."""

import fcntl
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


@pytest.fixture(scope="session")
def lego_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `modellego demo` writes, made once for all workers; copy it before anything is written there."""
    from modellego.demonstration import demo

    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder
    with open(folder / "lego-demo.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "lego-demo").is_dir():
            demo(folder / "lego-demo.part")
            (folder / "lego-demo.part").rename(folder / "lego-demo")
    return folder / "lego-demo"


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep results of long passes in a folder of the tests alone."""
    os.environ["MODELLEGO_CACHE"] = str(tmp_path_factory.mktemp("cache"))

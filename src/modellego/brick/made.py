"""With what a brick was made: all that its numbers depend on beside the source, the images and the options."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from modellego import __version__
from modellego.brick.info import Made
from modellego.distributed import processes

COUNTED = ("numpy", "scipy", "numba", "pillow")  # their arithmetic goes into a brick, where they are installed


def made_here(seed: int, data: str | None, options: dict[str, Any] | None = None) -> Made:
    """Return what to record of this installation; `data` is the digest of the images (`data.content`), if any.

    >>> made_here(seed=3, data=None).seed
    3
    """
    versions = {"modellego": __version__, "python": platform.python_version(), "torch": torch.__version__}
    for name in COUNTED:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return Made(
        versions=versions,
        threads=torch.get_num_threads(),
        processes=processes(),
        seed=seed,
        data=data,
        options=options or {},
    )

"""Memory that was freed, given back to the system: an allocator that keeps it in pieces grows with every batch."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def release_freed() -> None:
    """Give back what the allocator holds but nobody uses: the GNU C library's; others see to it themselves.

    >>> release_freed()
    """
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    if sys.platform.startswith("linux"):
        found: Callable[[int], object] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if found is not None:
            return found
    return lambda _: None

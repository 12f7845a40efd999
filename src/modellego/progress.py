"""How long work is followed: a stage is a named context whose `update(done, total)` is called as it goes on.

What is followed is also logged by the logger `modellego.progress`: that a stage begins (DEBUG), what it did and how
long it took (INFO).
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Update = Callable[[int, int], None]
Progress = Callable[[str, str], AbstractContextManager[Update]]
_log = logging.getLogger(__name__)


@contextmanager
def silent(title: str, unit: str = "images") -> Iterator[Update]:
    """Show nothing: only the log says what was done.

    >>> with silent("refit", "layers") as update:
    ...     update(1, 2)
    """
    reached = 0
    start = time.perf_counter()
    _log.debug("%s begins", title)

    def update(done: int, total: int) -> None:
        nonlocal reached
        reached = done

    yield update
    _log.info("%s: %d %s in %.2f s", title, reached, unit, time.perf_counter() - start)

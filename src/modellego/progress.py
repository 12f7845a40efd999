"""How long work is followed: a stage is a named context whose `update(done, total)` is called as it goes on."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Update = Callable[[int, int], None]
Progress = Callable[[str, str], AbstractContextManager[Update]]


@contextmanager
def silent(title: str, unit: str = "images") -> Iterator[Update]:
    """Follow nothing.

    >>> with silent("refit", "layers") as update:
    ...     update(1, 2)
    """
    yield lambda done, total: None

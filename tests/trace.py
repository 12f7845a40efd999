"""Counts what a piece of work does: calls of functions, by what they run, and images decoded."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from modellego.data import ImageSet
from modellego.data.store import Pixels, Store


@contextmanager
def calls(*functions: Callable[..., Any]) -> Iterator[Counter[str]]:
    """Count the calls of functions, by name, from wherever they are called and under whatever name."""
    wanted = {function.__code__: function.__name__ for function in functions}
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code in wanted:
            found[wanted[frame.f_code]] += 1

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


class CountingStore:
    """Counts how often each image of another store is decoded."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.decoded: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self.store)

    def name(self, index: int) -> str:
        return self.store.name(index)

    def read(self, index: int) -> Pixels:
        self.decoded[index] += 1
        return self.store.read(index)


def counted(images: ImageSet) -> tuple[ImageSet, Counter[int]]:
    """Return the same images, and the count of how often each is decoded."""
    store = CountingStore(images.store)
    return ImageSet(images.classes, images.labels, store, images.where), store.decoded

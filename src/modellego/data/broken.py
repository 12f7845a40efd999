"""Broken images among many: found by reading each once, counted, named, and left out where there are few."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from modellego.data.feed import THREADS
from modellego.data.images import ImageSet
from modellego.data.load import Data
from modellego.errors import DataError
from modellego.progress import Progress, silent

_SHOWN = 5  # broken images named in an error
_LOT = 256  # images read between two updates


class Readable(NamedTuple):
    """Data without their broken images, and what was left out: for each a sentence that names it."""

    data: Data
    left_out: tuple[str, ...]


def skip_broken(data: Data, max_bad: int, progress: Progress = silent) -> Readable:
    """Read every image once, and return the data without those that cannot be read, `max_bad` of them at most.

    Raises:
        DataError: more images are broken; the text counts them and names the first.

    >>> from modellego.data.load import load_data
    >>> found = skip_broken(load_data("digits"), max_bad=3)
    >>> len(found.data.train), found.left_out
    (1442, ())
    """
    if max_bad < 0:
        raise DataError(f"max_bad is 0 or more images, not {max_bad}")
    train, wrong = _whole(data.train, progress)
    test, others = (None, []) if data.test is None else _whole(data.test, progress)
    wrong += others
    if len(wrong) > max_bad:
        more = "" if len(wrong) <= _SHOWN else f"; and {len(wrong) - _SHOWN:,} more"
        raise DataError(
            f"{len(wrong):,} images cannot be read, and {max_bad:,} may be left out: {'; '.join(wrong[:_SHOWN])}{more}"
        )
    return Readable(Data(train, test), tuple(wrong))


def _whole(images: ImageSet, progress: Progress) -> tuple[ImageSet, list[str]]:
    """Return the images that can be read, and what is wrong with each of the others."""

    def problem(index: int) -> str | None:
        try:
            images.read(index)
        except DataError as error:
            return str(error)
        return None

    found: list[str | None] = []
    with progress("check", "images") as update, ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(images), _LOT):
            found += pool.map(problem, range(start, min(start + _LOT, len(images))))
            update(len(found), len(images))
    kept = [index for index, said in enumerate(found) if said is None]
    return (images if len(kept) == len(images) else images.subset(kept)), [said for said in found if said is not None]

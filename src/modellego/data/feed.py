"""Images as networks read them: each through the model's own preprocessing at its own size, then put into batches.

The one way from images on disk or in memory into a network. Images are decoded in threads, a few ahead of the network,
and only one batch of them is held as floats, however many there are and however large.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from modellego.data.decode import to_float
from modellego.data.release import release_freed
from modellego.data.store import PickedStore, Pixels, Store
from modellego.distributed import processes, share
from modellego.errors import DataError
from modellego.preprocess import Frame, Framed

BATCH = 250  # images
PIXELS = 2**21  # of a batch at the largest size that a network reads: 41 images of 224x224, 8 MB per channel
AHEAD = 2**18  # pixels that a thread decodes in one go, where an image has fewer
RELEASE = 2 * PIXELS  # handed out, after which memory that was freed goes back to the system
THREADS = min(8, os.cpu_count() or 1)


def framed_batches(images: Store, frames: Iterable[Frame], batch_size: int = BATCH) -> Iterator[tuple[slice, Framed]]:
    """Go through all images in order: which ones, as a slice of their numbers, and the images for each frame.

    A batch holds `batch_size` images, or fewer where they are large: about two million pixels. `images` is an
    `ImageSet` or any other store. Raises `DataError` naming an image that is corrupt or cannot be brought to a frame.

    >>> from modellego.data import load_data
    >>> from modellego.preprocess import Preprocess
    >>> frame = Preprocess(1, 8, 8).frame
    >>> [(rows, shown[frame].shape) for rows, shown in framed_batches(load_data("digits").test, [frame])]
    [(slice(0, 250, None), torch.Size([250, 1, 8, 8])), (slice(250, 355, None), torch.Size([105, 1, 8, 8]))]
    """
    frames = tuple(dict.fromkeys(frames))
    count = _in_a_batch(frames, batch_size)
    parts: list[Framed] = []
    done = given = 0
    for first, alike in _neighbours(images, count):
        parts.append(_framed(images, first, alike, frames))
        stop = first + len(alike)
        if stop % count == 0 or stop == len(images):
            yield slice(done, stop), _joined(parts)
            given += (stop - done) * _largest(frames)
            if given >= RELEASE:
                release_freed()
                given = 0
            parts, done = [], stop


def own_batches(images: Store, frames: Iterable[Frame], batch_size: int = BATCH) -> Iterator[tuple[int, slice, Framed]]:
    """Go through this process's share of the images: a batch's number among all, and what `framed_batches` gives.

    Whole batches are shared out, so that each is what it is in one process.

    >>> from modellego.data import load_data
    >>> from modellego.preprocess import Preprocess
    >>> [(number, rows) for number, rows, _ in own_batches(load_data("digits").test, [Preprocess(1, 8, 8).frame])]
    [(0, slice(0, 250, None)), (1, slice(250, 355, None))]
    """
    frames = tuple(frames)
    count = _in_a_batch(frames, batch_size)
    own = share(len(images), count)
    part = images if processes() == 1 else PickedStore(images, range(own.start, own.stop))
    for rows, shown in framed_batches(part, frames, batch_size):
        first = own.start + rows.start
        yield first // count, slice(first, own.start + rows.stop), shown


def _in_a_batch(frames: Iterable[Frame], batch_size: int) -> int:
    return max(1, min(batch_size, PIXELS // _largest(frames)))


def _largest(frames: Iterable[Frame]) -> int:
    """Return the pixels of the largest frame."""
    return max((frame.shape[-2] * frame.shape[-1] for frame in frames if len(frame.shape) > 1), default=1)


def framed(images: Store, frames: Iterable[Frame]) -> Framed:
    """Return all images at once, for each frame: where they are few.

    >>> from modellego.data import load_data
    >>> len(framed(load_data("digits").test, [Frame((1, 8, 8))]))
    355
    """
    frames = tuple(frames)
    found = [shown for _, shown in framed_batches(images, frames)]
    return _joined(found or [Framed({frame: torch.empty(0, *frame.shape) for frame in frames})])


@dataclass(frozen=True)
class Inputs:
    """Images as one network reads them: goes through batches of its input, as often as asked, decoding anew each time.

    `frame` and `prepare` are those of a `Brick`: what it reads of an image, and the normalisation behind it.

    >>> from modellego.data import load_data
    >>> from modellego.preprocess import Preprocess, apply
    >>> p = Preprocess(1, 8, 8, (0.5,), (0.5,))
    >>> inputs = Inputs(load_data("digits").test, p.frame, lambda images: apply(p, images))
    >>> len(inputs), [len(batch) for batch in inputs], inputs.tensor().shape
    (355, [250, 105], torch.Size([355, 1, 8, 8]))
    """

    images: Store
    frame: Frame
    prepare: Callable[[Tensor], Tensor]
    batch_size: int = BATCH

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Tensor]:
        for _, shown in framed_batches(self.images, [self.frame], self.batch_size):
            yield self.prepare(shown[self.frame])

    def tensor(self) -> Tensor:
        """Return the input for all images at once, `[N, *frame.shape]`: where they are few."""
        found = list(self)
        return torch.cat(found) if found else torch.empty(0, *self.frame.shape)


def _framed(images: Store, first: int, alike: Sequence[Pixels], frames: Sequence[Frame]) -> Framed:
    """Bring decoded images of one size to every frame."""
    batch = to_float(*alike)
    try:
        shown = {frame: frame(batch) for frame in frames}
    except DataError as error:
        raise DataError(f"{images.name(first)}: {error}") from error
    return Framed(shown)


def _joined(parts: Sequence[Framed]) -> Framed:
    if len(parts) == 1:
        return parts[0]
    return Framed({frame: torch.cat([part[frame] for part in parts]) for frame in parts[0].images})


def _neighbours(images: Store, count: int) -> Iterator[tuple[int, list[Pixels]]]:
    """Decode images in order, those of one size that follow one another together: the first one's number, and all.

    None lie on both sides of a multiple of `count`; large images come in lots of about two million pixels.
    """
    alike: list[Pixels] = []
    held = 0
    for number, pixels in enumerate(_decoded(images)):
        other = alike and (pixels.shape != alike[0].shape or pixels.dtype != alike[0].dtype)
        if alike and (other or held >= PIXELS or number % count == 0):
            yield number - len(alike), alike
            alike, held = [], 0
        alike.append(pixels)
        held += _area(pixels)
    if alike:
        yield len(images) - len(alike), alike


def _decoded(images: Store) -> Iterator[Pixels]:
    """Decode images in order, in threads that are never more than a few images, or a batch of small ones, ahead."""
    if not len(images):
        return
    yield (first := images.read(0))
    waiting: deque[tuple[range, Future[list[Pixels]]]] = deque()
    left = range(1, len(images))
    at_once = _at_once(first)
    pool = ThreadPoolExecutor(THREADS)
    try:
        while left or waiting:
            while left and len(waiting) <= THREADS:
                waiting.append((left[:at_once], pool.submit(_read, images, left[:at_once])))
                left = left[at_once:]
            asked, found = waiting.popleft()
            read = found.result()
            if rest := asked[len(read) :]:  # they were larger than those before
                waiting.appendleft((rest, pool.submit(_read, images, rest)))
            at_once = _at_once(read[-1])
            yield from read
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(images: Store, numbers: range) -> list[Pixels]:
    """Decode some images, at least one, and no more once they are large."""
    found: list[Pixels] = []
    held = 0
    for number in numbers:
        found.append(pixels := images.read(number))
        held += _area(pixels)
        if held >= AHEAD:
            break
    return found


def _at_once(like: Pixels) -> int:
    return min(BATCH, max(1, AHEAD // _area(like)))


def _area(pixels: Pixels) -> int:
    height, width, _ = pixels.shape
    return max(1, int(height * width))

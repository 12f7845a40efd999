"""Network input a few images at a time, gone through as often as work needs it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from modellego.data.feed import Inputs
from modellego.data.store import PickedStore
from modellego.distributed import processes, share
from modellego.errors import DataError

NetworkInput = torch.Tensor | Inputs | Sequence[torch.Tensor]


def number_of(images: NetworkInput) -> int:
    """Return how many images there are.

    >>> number_of([torch.rand(3, 1, 8, 8), torch.rand(2, 1, 8, 8)])
    5
    """
    return len(images) if isinstance(images, torch.Tensor | Inputs) else sum(len(batch) for batch in images)


def chunks(images: NetworkInput, most: int) -> Iterator[torch.Tensor]:
    """Go through network input in order, at most `most` images at once, however it is held.

    `images` is one tensor `[N, *input_shape]`, `Inputs` (decoded as they come), or batches that can be gone through
    again.

    >>> [len(chunk) for chunk in chunks([torch.rand(5, 1, 8, 8), torch.rand(2, 1, 8, 8)], 3)]
    [3, 2, 2]
    """
    for batch in (images,) if isinstance(images, torch.Tensor) else images:
        for start in range(0, len(batch), most):
            yield batch[start : start + most]


def picked(images: NetworkInput, rows: torch.Tensor) -> NetworkInput:
    """Return the network input of some images, `rows` int64 `[n]`, ascending; what is decoded as it comes stays so.

    >>> len(picked(torch.rand(5, 1, 8, 8), torch.tensor([1, 4])))
    2
    """
    if isinstance(images, torch.Tensor):
        return images[rows]
    if isinstance(images, Inputs):
        return replace(images, images=PickedStore(images.images, rows.tolist()))
    found, done = [], 0
    for batch in images:
        found.append(batch[rows[(rows >= done) & (rows < done + len(batch))] - done])
        done += len(batch)
    return found


def own_part(images: NetworkInput) -> tuple[NetworkInput, slice]:
    """Return this process's share of network input, and which of the images they are; where it is alone, all.

    Raises:
        DataError: there are fewer images than processes.

    >>> part, numbers = own_part(torch.rand(5, 1, 8, 8))
    >>> len(part), numbers
    (5, slice(0, 5, None))
    """
    count = number_of(images)
    if 0 < count < processes():
        raise DataError(f"{count} images cannot be shared out over {processes()} processes: start {count} or fewer")
    own = share(count)
    return (images if processes() == 1 else picked(images, torch.arange(own.start, own.stop))), own


class Batches:
    """Network input in batches of at most `most` images, which can be gone through as often as work needs it.

    >>> batches = Batches(torch.rand(5, 1, 8, 8), 3)
    >>> len(batches), [len(batch) for batch in batches], [len(batch) for batch in batches]
    (5, [3, 2], [3, 2])
    """

    def __init__(self, images: NetworkInput, most: int = 100) -> None:
        self.images, self.most = images, most

    def __len__(self) -> int:
        return number_of(self.images)

    def __iter__(self) -> Iterator[torch.Tensor]:
        return chunks(self.images, self.most)

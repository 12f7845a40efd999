"""Which images are whose, and what the processes found put together: sums, rows in order, one answer for all.

All processes must call these in the same order. Where there is one process each of them is the identity.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from modellego.errors import LegoError

Value = TypeVar("Value")


class LostProcessError(LegoError):
    """Another process of the same command has ended, so that this one cannot go on."""


@dataclass
class Place:
    """Which of how many processes this is, once it has joined the others."""

    rank: int = 0
    processes: int = 1


PLACE = Place()  # set by `launch.joined` alone: a process group that the caller has for other ends is not ours to use


def processes() -> int:
    """Return how many processes share the work: 1 unless `torchrun` started more and they have joined.

    >>> processes(), rank()
    (1, 0)
    """
    return PLACE.processes


def rank() -> int:
    """Return this process's number, from 0; number 0 writes and prints."""
    return PLACE.rank


def share(count: int, unit: int = 1) -> slice:
    """Return which of `count` images are this process's: neighbours, as many as the others have, give or take one.

    `unit` images stay together (but for the last ones), where what is done to them depends on their batch.

    >>> share(7), share(7, unit=4)
    (slice(0, 7, None), slice(0, 7, None))
    """
    units = -(-count // unit)
    first, last = (units * number // processes() * unit for number in (rank(), rank() + 1))
    return slice(min(first, count), min(last, count))


def summed(*tensors: Tensor) -> None:
    """Add up each tensor over all processes, in place; floats should be float64, so that the order hardly matters.

    >>> found = torch.ones(2, dtype=torch.float64)
    >>> summed(found)
    >>> found.tolist()
    [1.0, 1.0]
    """
    if processes() == 1:
        return
    import torch.distributed as dist

    with _together():
        for tensor in tensors:
            whole = tensor.contiguous()
            dist.all_reduce(whole)
            if whole is not tensor:
                tensor.copy_(whole)


def gathered(parts: Sequence[Tensor]) -> Tensor:
    """Return rows `[n, ...]` as one tensor, one process's behind the other's: of shares, in the order of the images.

    A process whose share is empty has no parts; one of them must have some.

    >>> gathered([torch.zeros(2, 3), torch.zeros(1, 3)]).shape
    torch.Size([3, 3])
    """
    if processes() == 1:
        return torch.cat(list(parts))
    import torch.distributed as dist

    rows = torch.cat(list(parts)) if parts else None
    known: list[tuple[int, torch.Tensor] | None] = [None] * processes()
    with _together():
        dist.all_gather_object(known, None if rows is None else (len(rows), rows.new_empty(0, *rows.shape[1:]).cpu()))
        like = next(empty for _, empty in filter(None, known))
        lengths = [0 if held is None else held[0] for held in known]
        rows = like if rows is None else rows
        padded = torch.cat([rows, rows.new_zeros(max(lengths) - len(rows), *rows.shape[1:])])
        found = [torch.empty_like(padded) for _ in range(processes())]
        dist.all_gather(found, padded)
    return torch.cat([part[:length] for part, length in zip(found, lengths, strict=True)])


def agreed(value: Value) -> Value:
    """Return process 0's value in all processes: of what was measured, or chosen among things that may be nearly equal.

    >>> agreed([3, 1, 2])
    [3, 1, 2]
    """
    if processes() == 1:
        return value
    import torch.distributed as dist

    held = [value]
    with _together():
        dist.broadcast_object_list(held, src=0)
    return held[0]


@contextmanager
def _together() -> Iterator[None]:
    """Turn the failure of an exchange into what it means: one of the others is gone."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            f"one of the {processes()} processes has ended, so that all stop and nothing is written: look for what it "
            "said, and start the command again"
        ) from error

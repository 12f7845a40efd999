"""The processes of one command find each other, and end together.

The engine is PyTorch's own distributed package: gloo for tensors on CPUs, nccl for those on GPUs.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import FrameType
from typing import Any

from modellego.distributed.collective import PLACE, LostProcessError
from modellego.errors import LegoError

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun tells a process it starts
PATIENCE = timedelta(minutes=60)  # that a process waits for the slowest, which may still be reading its images
_store: Any = None  # where processes leave a word for each other


def launched() -> bool:
    """Return whether `torchrun` started this process, as one of several or alone."""
    return all(name in os.environ for name in NEEDED)


@contextmanager
def joined() -> Iterator[None]:
    """Share the work of the block with the other processes that `torchrun` started; nothing where it started none.

    Raises:
        LegoError: they cannot be reached, or one of them ends while the others still work.
    """
    global _store
    if not launched() or int(os.environ["WORLD_SIZE"]) < 2:
        yield
        return
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    gpus = torch.cuda.is_available() and dist.is_nccl_available()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    before = signal.signal(signal.SIGTERM, _told_to_stop)
    try:
        store, rank, size = next(iter(rendezvous("env://", timeout=PATIENCE)))
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpus else "gloo",
            store=store,
            rank=rank,
            world_size=size,
            timeout=PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        signal.signal(signal.SIGTERM, before)
        raise LegoError(f"the {os.environ['WORLD_SIZE']} processes cannot reach each other: {error}") from error
    PLACE.rank, PLACE.processes, _store = rank, size, store
    try:
        yield
        signal.signal(signal.SIGTERM, before)
    except BaseException:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # there is still to be said why, and a little to be put away
        raise
    finally:
        PLACE.rank, PLACE.processes = 0, 1
        with suppress(RuntimeError):
            dist.destroy_process_group()


def speaks() -> bool:
    """Return whether this process is the one to say why the command failed: the first that asks; of one, the only one.

    Processes that have not joined all fail alike, and number 0 speaks.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if _store is None:
        return not launched() or os.environ["RANK"] == "0"
    try:
        return bool(_store.add("modellego failed", 1) == 1)
    except RuntimeError:  # whoever kept the words is gone
        return True


def _told_to_stop(number: int, frame: FrameType | None) -> None:
    """End at once, saying why: torchrun stops all processes where one has ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise LostProcessError(
        "stopped from outside, most likely because another process of this command has ended: nothing is written"
    )

"""Work shared out over processes that `torchrun` starts: which images are whose, and sums put together.

Where there is one process it has all images and its sums are whole: nothing is sent, and nothing here is imported that
sends. The rooms that go through images ask for their `share`, work on it, and put together what they found.
"""

from modellego.distributed.collective import agreed, gathered, processes, rank, share, summed
from modellego.distributed.launch import joined, launched, speaks

__all__ = ["agreed", "gathered", "joined", "launched", "processes", "rank", "share", "speaks", "summed"]

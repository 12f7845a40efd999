"""What a refit holds of all images between two passes: one stage's rows, and the feature maps at a checkpoint."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, fx

from modellego.capture.walk import GraphWalk, Values
from modellego.refit.shelf import Shelf

BLOCK = 8192  # rows that are put on the shelf together: few large products are faster than many small ones

# what the layers read [groups, M, F], what they should give [M, Q], what is added to it [M, Q], the rows' numbers [M]
StageBlock = tuple[Tensor, Tensor, Tensor | None, Tensor]


class StageRows:
    """The rows of one stage, over all images. Going through them gives blocks of images of even and odd number in turn.

    The two kinds are the halves between which the ridge is chosen. They and the rows' numbers follow from the images'
    own numbers, whatever the parts' size and whichever images this process has.
    """

    def __init__(self, memory: int) -> None:
        self.total = 0
        self._blocks = 0
        self._shelf = Shelf(memory)
        self._waiting: tuple[list[StageBlock], list[StageBlock]] = ([], [])

    def __enter__(self) -> "StageRows":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._shelf.clear()

    def add(self, first: int, each: int, x: Tensor, target: Tensor, offset: Tensor | None) -> None:
        """Add rows `x [groups, M, F]`, targets and offsets `[M, Q]` of images from number `first` on, `each` of one."""
        number = first * each + torch.arange(len(target))
        for half, waiting in enumerate(self._waiting):
            own = ((number // each) % 2 == half).nonzero().reshape(-1)
            here = own.to(target.device)
            waiting.append((x[:, here], target[here], None if offset is None else offset[here], number[own]))
        self.total += len(target)
        if sum(len(block[1]) for waiting in self._waiting for block in waiting) >= BLOCK:
            self._flush()

    def __iter__(self) -> Iterator[StageBlock]:
        self._flush()
        for block in range(self._blocks):
            offset = self._shelf.get((block, 2)) if (block, 2) in self._shelf else None
            yield self._shelf.get((block, 0)), self._shelf.get((block, 1)), offset, self._shelf.get((block, 3))

    def _flush(self) -> None:
        if not self._waiting[0]:
            return
        for waiting in self._waiting:
            offsets = [block[2] for block in waiting if block[2] is not None]
            self._shelf.put((self._blocks, 0), torch.cat([block[0] for block in waiting], 1))
            self._shelf.put((self._blocks, 1), torch.cat([block[1] for block in waiting]))
            self._shelf.put((self._blocks, 3), torch.cat([block[3] for block in waiting]))
            if offsets:
                self._shelf.put((self._blocks, 2), torch.cat(offsets))
            self._blocks += 1
            waiting.clear()


class Frontier:
    """The feature maps of all images that a network needs from one node on, a part of the images at a time."""

    def __init__(self, walk: GraphWalk, node: fx.Node, memory: int) -> None:
        self.node = node
        self._needed = walk.needed_from(node)
        self._shelf = Shelf(memory)
        self._rest: dict[int, dict[fx.Node, Any]] = {}

    def __enter__(self) -> "Frontier":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def clear(self) -> None:
        """Let go of everything."""
        self._rest.clear()
        self._shelf.clear()

    def put(self, part: int, values: Values) -> None:
        """Keep a part's values: maps on the shelf, constants and numbers beside it."""
        self._rest[part] = {}
        for node in self._needed:
            value = values[node]
            if isinstance(value, Tensor) and node.op != "get_attr":
                self._shelf.put((part, node), value)
            else:
                self._rest[part][node] = value

    def get(self, part: int, *, last: bool) -> Values:
        """Return a part's values as they were; `last` says that nobody asks for them again."""
        read = self._shelf.take if last else self._shelf.get
        rest = self._rest[part]
        return {node: rest[node] if node in rest else read((part, node)) for node in self._needed}

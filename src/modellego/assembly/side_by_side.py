"""Parallel: any bricks side by side on the same images, each with its own preprocessing, and a joint behind them."""

import copy
from collections.abc import Sequence
from typing import Any

from modellego.brick import Assembled, Brick, Joint, assembled_info
from modellego.errors import AssemblyError


def parallel(
    bricks: Sequence[Brick | Assembled], classes: Sequence[str], joint: Joint | None = None, **fields: Any
) -> Assembled:
    """Put bricks side by side; without a joint's steps their logits are concatenated.

    The bricks may differ in architecture, input size, number of channels and normalisation, and may be assembled
    themselves. They are copied: training the result leaves them alone. `fields` go into the result's info.

    Raises:
        AssemblyError: there are fewer than two bricks, or the joint's steps do not fit them.
    """
    if len(bricks) < 2:
        raise AssemblyError("there is nothing to assemble: give two bricks or more")
    return Assembled([copy.deepcopy(b) for b in bricks], joint or Joint(), assembled_info(bricks, classes, **fields))

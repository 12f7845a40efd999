"""No tensor may end empty: where all its channel groups would go, its best one stays."""

import numpy as np
from numpy.typing import NDArray

from modellego.channels.channel_map import ChannelMap, KeepMask


def rescue(channels: ChannelMap, keep: KeepMask, scores: NDArray[np.float64]) -> tuple[KeepMask, list[int]]:
    """Return the mask with the best set of every otherwise empty tensor kept, and the sets so rescued.

    `keep` bool [n_groups] (groups that may not be cut are kept whatever it says); `scores` float [n_groups], higher is
    better.

    >>> from modellego.channels.channel_map import ChannelMap
    >>> ids = {"a": np.array([[0, 1]])}
    >>> m = ChannelMap(ids, {}, 2, np.ones(2, bool), [], {}, {}, None)
    >>> rescue(m, np.zeros(2, bool), np.array([1.0, 3.0]))
    (array([False,  True]), [1])
    """
    kept = channels.left_by(keep)
    rescued: list[int] = []
    for sets in channels.tensors():
        if not kept[sets].any():
            best = int(sets[np.argmax(scores[sets])])
            kept[best] = True
            rescued.append(best)
    return kept, rescued

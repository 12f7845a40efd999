"""What the channel analysis hands on: which channel group every position of every tensor belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
KeepMask = NDArray[np.bool_]
NO_CHANNEL = -1


@dataclass(frozen=True)
class Reading:
    """One call of a layer that mixes channels (convolution or linear), with the channel groups it reads and makes.

    `in_groups` int64 [P] and `out_groups` int64 [Q] hold the group of every input and output channel (feature) of a
    layer; -1 stands for a channel that is never cut (the image's own).
    """

    node: str
    layer: str
    input: str
    in_groups: Ids
    out_groups: Ids


@dataclass(frozen=True)
class ChannelMap:
    """Channel groups of a network: the channels of one group stay or go together.

    `ids[node]` is an int64 array that broadcasts against the node's shape at batch 1 (size-1 axes where the group does
    not vary); for an op with several outputs, `parts[node]` holds one such array an output. `layer_in` and
    `layer_out` give, for every layer with weights, the groups along its weight's input and output axes. `logit_groups`
    holds the set of each logit, or None where the logits' axis is tied to other channels. `approximate` names the
    nodes at which a cut is by definition, not exact, and why; `pinned` why some groups are kept whole.
    """

    ids: dict[str, Ids]
    parts: dict[str, list[Ids]]
    n_groups: int
    cuttable: NDArray[np.bool_]
    readers: list[Reading]
    layer_in: dict[str, Ids]
    layer_out: dict[str, Ids]
    logit_groups: Ids | None
    approximate: dict[str, str] = field(default_factory=dict)
    pinned: dict[str, str] = field(default_factory=dict)

    def keep_all(self) -> KeepMask:
        """Return the mask that keeps every group."""
        return np.ones(self.n_groups, dtype=np.bool_)

    def left_by(self, keep: KeepMask, logits: Sequence[int] | None = None) -> KeepMask:
        """Return which groups a cut by a mask leaves: what may not be cut stays, and of the logits only those wanted.

        `keep` bool [n_groups]; `logits` class indices, all by default.
        """
        left: KeepMask = np.asarray(keep, dtype=np.bool_) | ~self.cuttable
        if logits is not None and self.logit_groups is not None:
            left[self.logit_groups] = False
            left[self.logit_groups[list(logits)]] = True
        return left

    def tensors(self) -> list[Ids]:
        """Return the distinct sets of each tensor that can be cut: of none of them may all be removed."""
        seen: dict[bytes, Ids] = {}
        for array in [*self.ids.values(), *(p for parts in self.parts.values() for p in parts)]:
            sets = np.unique(array)
            if sets.size and sets[0] >= 0:
                seen.setdefault(sets.tobytes(), sets)
        return list(seen.values())

    def summary(self) -> dict[str, int]:
        """Count groups and channels: `groups`, `cuttable_groups`, `channels`, `cuttable_channels`."""
        out = list(self.layer_out.values())
        flat = np.concatenate(out) if out else np.zeros(0, dtype=np.int64)
        inner = flat[flat >= 0]
        return {
            "groups": self.n_groups,
            "cuttable_groups": int(self.cuttable.sum()),
            "channels": int(flat.size),
            "cuttable_channels": int(self.cuttable[inner].sum()),
        }

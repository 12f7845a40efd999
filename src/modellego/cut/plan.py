"""The plan of a cut: a network, its channel groups, which of them stay, and for which classes. Made once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modellego.capture.network import Network
from modellego.channels.channel_map import ChannelMap, Ids, KeepMask
from modellego.errors import CutError


@dataclass(frozen=True)
class CutPlan:
    """What is to be cut from a network; `plan_cut` makes and checks it, `cut`, `refit` and a brick's record read it.

    `kept` bool [n_groups] is what the cut leaves: wanted groups, those that may not be cut, and of the logits the
    task's. `task` holds the class indices of the logits, in the order wanted.
    """

    network: Network
    channels: ChannelMap
    kept: KeepMask
    task: tuple[int, ...]

    def mask(self, ids: Ids) -> NDArray[np.bool_]:
        """Return which positions of an array of channel groups stay; -1, what is never cut, does."""
        stays: NDArray[np.bool_] = (ids < 0) | self.kept[np.maximum(ids, 0)]
        return stays

    @property
    def counts(self) -> tuple[int, int]:
        """How many channel groups stay, and how many there are, the logits' own left out."""
        inner = self.channels.keep_all()
        if self.channels.logit_groups is not None:
            inner[self.channels.logit_groups] = False
        return int(self.kept[inner].sum()), int(inner.sum())


def plan_cut(network: Network, channels: ChannelMap, keep: KeepMask, task: Sequence[int] | None = None) -> CutPlan:
    """Return the plan of a cut by a keep mask, checked: nothing fails later for what the mask or the task says.

    Args:
        network: what `channels` was analysed from.
        channels: its channel map.
        keep: bool [n_groups]; groups that may not be cut stay whatever it says.
        task: class indices of the logits to keep, distinct, in the order wanted; all by default.

    Raises:
        CutError: a tensor would end empty, or a class index is out of range or doubled.

    >>> import torch
    >>> from modellego.capture import capture
    >>> from modellego.channels import analyse
    >>> net = capture(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 5)), (3,))
    >>> found = analyse(net)
    >>> plan_cut(net, found, np.arange(found.n_groups) > 1, task=[4, 0]).counts
    (2, 4)
    """
    wanted = _check_task(network, task)
    kept = channels.left_by(keep, wanted)
    for name, ids in channels.ids.items():
        if ids.size and (ids >= 0).all() and not kept[np.unique(ids)].any():
            raise CutError(
                f"all channels of {name} would be removed: keep at least one of its groups (modellego.cut.empty does)"
            )
    return CutPlan(network, channels, kept, wanted)


def _check_task(network: Network, task: Sequence[int] | None) -> tuple[int, ...]:
    count = network.num_logits
    wanted = tuple(range(count)) if task is None else tuple(int(i) for i in task)
    bad = [i for i in wanted if not 0 <= i < count]
    if bad or not wanted or len(set(wanted)) < len(wanted):
        shown = list(wanted[:10])
        raise CutError(f"logits {shown} are not distinct indices in 0..{count - 1}: name each wanted class once")
    return wanted

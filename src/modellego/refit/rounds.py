"""Ranking in rounds: cut some, refit, look again, so that later removals are judged in the network they meet."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from modellego.channels import analyse
from modellego.channels.channel_map import ChannelMap, Ids, KeepMask
from modellego.cut import cut
from modellego.locate.costs import CostModel
from modellego.locate.criteria import Request, rank
from modellego.locate.curve import Curve, make_curve
from modellego.refit.refit import refit
from modellego.refit.values import RefitOptions

IMAGES = 600  # enough for the refit between rounds, which only the ranking sees


def rank_in_rounds(
    name: str,
    request: Request,
    whole: tuple[int, int],
    *,
    stops: Sequence[float] = (0.7,),
    per: str = "macs",
    options: RefitOptions | None = None,
) -> Curve:
    """Rank all channel sets by a criterion, anew on the cut and refitted network at each of `stops` (shares of MACs).

    One curve over the source's sets comes back, as from `locate.rank`: down to the first stop it is that of one
    pass, beyond it that of the next round. Stops at or below the budget one has in mind cost time for nothing.

    Args:
        name: of the criterion.
        request: network, channels, task and images, as for `rank`.
        whole: MACs and parameters of the uncut source that shares are counted from.
        stops: shares of the MACs, falling.
        per: "macs" or "params" (stops are shares of MACs in both cases).
        options: of the refits between rounds.

    >>> from modellego.capture import capture
    >>> _ = torch.manual_seed(0)
    >>> net = capture(torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)), (3,))
    >>> asked = Request(net, analyse(net), torch.randn(40, 3), None, [0, 1])
    >>> curve = rank_in_rounds("reconstruction", asked, (40, 50), stops=(0.7,))
    >>> len(curve) == len(rank("reconstruction", asked, (40, 50)))
    True
    """
    curve = rank(name, request, whole, per)
    source, channels, task = request.network, request.channels, sorted(request.task)
    costs = CostModel(source, channels, list(request.task))
    order, loss = curve.order.tolist(), curve.loss.tolist()
    generator = torch.Generator().manual_seed(request.seed)
    some = request.images[torch.randperm(len(request.images), generator=generator)[:IMAGES]]
    for stop in stops:
        reached = np.flatnonzero(curve.macs <= stop * whole[0])
        if reached.size == 0 or reached[0] >= len(order):
            break
        point = int(reached[0])
        keep = curve.keep(point)
        small = cut(source, channels, keep, task)
        refit(source, small, channels, keep, some, logits=task, options=options)
        found = analyse(small)
        labels = None
        if request.labels is not None:
            wanted = torch.tensor(task)
            labels = (request.labels[:, None] == wanted[None]).float().argmax(1)
        inner = replace(request, network=small, channels=found, labels=labels, task=list(range(len(task))))
        again = rank(name, inner, whole, per)
        back = _back(channels, CostModel(source, channels, task).alive(keep), found)
        order = [*order[:point], *back[again.order].tolist()]
        loss = [*loss[: point + 1], *(loss[point] + again.loss[1:] - again.loss[0]).tolist()]
        curve = make_curve(costs, channels, order, loss, whole)
    return curve


def _back(channels: ChannelMap, alive: KeepMask, found: ChannelMap) -> NDArray[np.int64]:
    """Return for each set of a cut network the set of its source that it was."""
    back = np.full(found.n_sets, -1, dtype=np.int64)
    for old, new in ((channels.layer_out, found.layer_out), (channels.layer_in, found.layer_in)):
        for path, ids in new.items():
            if path in old:
                kept = _kept(old[path], alive)
                if kept.size == ids.size:
                    inner = ids >= 0
                    back[ids[inner]] = kept[inner]
    return back


def _kept(ids: Ids, alive: KeepMask) -> Ids:
    flat = ids.reshape(-1)
    result: Ids = flat[(flat < 0) | alive[np.maximum(flat, 0)]]
    return result

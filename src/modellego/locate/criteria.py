"""Criteria by name: what a channel group is worth, before any budget is spent on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from modellego.capture.modes import evaluating
from modellego.capture.network import Network
from modellego.channels.channel_map import ChannelMap, Ids
from modellego.contribution.relevance import Thresholds, group_scores, plan_flow, relevance
from modellego.contribution.stream import class_sums
from modellego.data.chunks import Batches, NetworkInput, chunks, number_of, own_part, picked
from modellego.distributed import agreed, share, summed
from modellego.errors import CutError
from modellego.locate.costs import CostModel
from modellego.locate.curve import Curve, rank_by_scores
from modellego.locate.eliminate import eliminate, gather_reconstructions
from modellego.locate.ranks import IMAGES, average_ranks
from modellego.locate.sensitivity import recorded
from modellego.registry import Registry

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Request:
    """What a criterion may look at: a network, its channels, the task, and samples of it.

    `images` is network input `[N, *input_shape]`; `labels` the images' classes as numbers of the network's logits,
    int64 `[N]`, or None, where only what needs no labels works; `task` the wanted logits.
    """

    network: Network
    channels: ChannelMap
    images: NetworkInput
    labels: Tensor | None
    task: Sequence[int]
    thresholds: Thresholds = field(default_factory=Thresholds)
    batch: int = 100
    seed: int = 0


Scorer = Callable[[Request], Floats]


@dataclass(frozen=True)
class Criterion:
    """A function that scores channel groups, and what its scores are divided by where `rank` is not told."""

    scores: Scorer
    per: str


CRITERIA = Registry[Criterion]("criterion", CutError)
DYNAMIC = {"reconstruction"}
ALIASES = {"obs": "reconstruction"}
BY_THRESHOLDS, UNDER_BUDGET = "contribution", "reconstruction"  # what decides where no criterion is named


def meant(name: str | None, budgeted: bool) -> str:
    """Return a criterion's name, the default where it is None: the best one known under a budget, else the paper's.

    That reconstruction is the best is measured: docs/results.md, "Criteria at equal MACs".

    >>> meant(None, True), meant(None, False), meant("l1", True)
    ('reconstruction', 'contribution', 'l1')
    """
    return name or (UNDER_BUDGET if budgeted else BY_THRESHOLDS)


def criterion(name: str, per: str = "macs") -> Callable[[Scorer], Scorer]:
    """Register a criterion: a function from a `Request` to float64 `[n_groups]`, higher is better, none below 0.

    `per` is what its scores are divided by, as in `rank`, unless that is told otherwise.

    >>> @criterion("equal")
    ... def equal(request):
    ...     return np.ones(request.channels.n_groups)
    >>> "equal" in names(); CRITERIA.remove("equal")
    True
    """
    if name in DYNAMIC or name in ALIASES:
        raise CutError(f"there is already a criterion {name!r}: choose another name")

    def enter(function: Scorer) -> Scorer:
        CRITERIA.enter(name, Criterion(function, per))
        return function

    return enter


def names() -> tuple[str, ...]:
    """Return the names of all criteria, the paper's first.

    >>> names()[:8]
    ('contribution', 'reconstruction', 'taylor', 'activation', 'l1', 'fpgm', 'hrank', 'random')
    """
    first, *others = CRITERIA.names()
    return (first, *sorted(DYNAMIC), *others)


def rank(name: str, request: Request, whole: tuple[int, int], per: str | None = None) -> Curve:
    """Rank all channel groups by a criterion, per MAC or parameter saved (`per` "macs" or "parameters").

    `per` "groups" ranks by the bare score, as pruning libraries do; None takes the criterion's own way. `whole` holds
    the MACs and parameters of the uncut source that shares are counted from.
    Raises `CutError` for a name that is not known, or a criterion that needs labels where there are none.
    """
    name = ALIASES.get(name, name)
    if name not in names():
        raise CutError(f"there is no criterion {name}; there are {', '.join(names())}")
    found = None if name in DYNAMIC else CRITERIA.find(name)
    per = per or ("macs" if found is None else found.per)
    costs = CostModel(request.network, request.channels, list(request.task))
    with evaluating(request.network.graph):
        if found is None:
            readers = gather_reconstructions(
                request.network, request.channels, request.images, request.task, seed=request.seed
            )
            return eliminate(readers, costs, request.channels, whole, per)
        scores = checked_scores(name, agreed(found.scores(request)), request.channels.n_groups)
        return rank_by_scores(costs, request.channels, scores, whole, per)


def checked_scores(name: str, scores: object, count: int) -> Floats:
    """Return a criterion's scores as float64 `[count]`.

    Raises:
        CutError: they are not one finite number of at least 0 for each channel group.
    """
    needed = f"the criterion {name!r} must return one finite score of at least 0 for each of {count} channel groups"
    try:
        found = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CutError(f"{needed}, not {type(scores).__name__}") from error
    if found.shape != (count,):
        raise CutError(f"{needed}, not an array of shape {list(found.shape)}")
    if not np.isfinite(found).all() or (found < 0).any():
        raise CutError(f"{needed}: some are not")
    return found


@criterion("contribution", per="groups")
def contribution(request: Request) -> Floats:
    """Relative contribution `r_p`, the largest over readers and the task's classes (arXiv 2203.13453).

    A share of the largest in its layer, it hardly differs there: divided by MACs, these alone would decide
    (docs/results.md, compression: 83.57 instead of 53.89).
    """
    labels = _labels(request, "contribution")
    rows = {int(c): (labels == c).nonzero().reshape(-1) for c in request.task}
    classes = [(c, Batches(picked(request.images, own[share(len(own))]), request.batch)) for c, own in rows.items()]
    flow = plan_flow(request.network, request.channels)
    scores = np.zeros(request.channels.n_groups)
    for label, sums in class_sums(request.network, classes, channel_map=request.channels):
        found = relevance(flow, request.channels, sums, label, request.thresholds)
        scores = np.maximum(scores, group_scores(request.channels, found))
    return scores


@criterion("taylor")
def taylor(request: Request) -> Floats:
    """Activation times gradient of the task's loss, per channel, summed over readers.

    Mean over samples of the square of the channel's summed product: Molchanov et al. 2019 (arXiv 1906.10771), at the
    feature maps that are read. Without labels the loss is that of the network's own choice among the task.
    """
    nodes = {r.input: r for r in request.channels.readers}
    totals = np.zeros(request.channels.n_groups)
    images, own = own_part(request.images)
    wanted, done = torch.tensor(list(request.task)), own.start
    with torch.enable_grad():
        for block in chunks(images, request.batch):
            logits, found = recorded(request.network, nodes, block.detach().clone().requires_grad_())
            logits = logits[:, wanted]
            if request.labels is None:
                target = logits.argmax(1)
            else:
                known = request.labels[done : done + len(block)]
                target = (known[:, None] == wanted[None]).float().argmax(1)
            kept = {n: t for n, t in found.items() if t.requires_grad}
            loss = F.cross_entropy(logits, target, reduction="sum")
            gradients = torch.autograd.grad(loss, list(kept.values()), allow_unused=True)
            for (name, value), gradient in zip(kept.items(), gradients, strict=True):
                if gradient is not None:
                    product = (value * gradient).detach().double()
                    per_group = _per_group(product, request.channels.ids[name], request.channels.n_groups)
                    totals += (per_group**2).sum(0)
            done += len(block)
    summed(torch.from_numpy(totals))
    result: Floats = totals / number_of(request.images)
    return result


def _per_group(values: Tensor, ids: Ids, n_groups: int) -> Floats:
    """Sum `[B, ...]` over all positions of a channel group: float64 `[B, n_groups]`."""
    flat = np.broadcast_to(ids, (1, *values.shape[1:])).reshape(-1)
    inner = torch.from_numpy(np.flatnonzero(flat >= 0))
    result = torch.zeros(len(values), n_groups, dtype=torch.float64)
    result.index_add_(1, torch.from_numpy(flat[inner.numpy()].copy()), values.flatten(1)[:, inner])
    found: Floats = result.numpy()
    return found


@criterion("activation")
def activation(request: Request) -> Floats:
    """Mean magnitude of a channel's feature map where it is read, over the tensor's mean."""
    inputs = {r.input: r for r in request.channels.readers}
    totals = {name: np.zeros(request.channels.n_groups) for name in inputs}
    with torch.no_grad():
        for block in chunks(own_part(request.images)[0], request.batch):
            for name, value in recorded(request.network, inputs, block)[1].items():
                totals[name] += _per_group(
                    value.abs().double(), request.channels.ids[name], request.channels.n_groups
                ).sum(0)
    summed(*map(torch.from_numpy, totals.values()))
    return _mean_of_relative(list(totals.values()), [request.channels.ids[n] for n in totals])


@criterion("l1")
def l1(request: Request) -> Floats:
    """L1 norm of the filters that make a channel, over the layer's mean (Li et al. 2017, arXiv 1608.08710)."""
    return _of_filters(request, lambda w: w.abs().sum(1))


@criterion("fpgm")
def fpgm(request: Request) -> Floats:
    """Summed distance of a filter to the layer's others, over the layer's mean (He et al. 2019, arXiv 1811.00250)."""
    return _of_filters(request, lambda w: torch.cdist(w[None], w[None])[0].sum(1))


@criterion("hrank")
def hrank(request: Request) -> Floats:
    """Average rank of a channel's feature map, over the tensor's mean (Lin et al. 2020, arXiv 2002.10179).

    On at most 500 images, the paper's number, drawn from those given; maps as they are read, after norm and activation.
    """
    generator = torch.Generator().manual_seed(request.seed)
    some = torch.randperm(number_of(request.images), generator=generator)[:IMAGES].sort().values
    ranks = average_ranks(request.network, request.channels, picked(request.images, some))
    return _mean_of_relative(list(ranks.values()), [request.channels.ids[n] for n in ranks])


@criterion("random")
def random(request: Request) -> Floats:
    """A number drawn for every channel group."""
    return np.random.default_rng(request.seed).random(request.channels.n_groups)


def _of_filters(request: Request, measure: Callable[[Tensor], Tensor]) -> Floats:
    totals, places = [], []
    for path in {r.layer: None for r in request.channels.readers}:
        layer = request.network.graph.get_submodule(path)
        weight = layer.weight.detach().double()  # type: ignore[operator]
        values = measure(weight.flatten(1)).numpy()
        sets = request.channels.layer_out[path]
        total = np.zeros(request.channels.n_groups)
        np.add.at(total, sets[sets >= 0], values[sets >= 0])
        totals.append(total)
        places.append(sets)
    return _mean_of_relative(totals, places)


def _mean_of_relative(totals: list[Floats], places: list[Ids]) -> Floats:
    """Divide each tensor's values by their mean, so that layers compare, and average over the tensors a group is in."""
    result = np.zeros_like(totals[0])
    count = np.zeros_like(totals[0])
    for total, ids in zip(totals, places, strict=True):
        members = np.unique(ids[ids >= 0])
        if members.size:
            result[members] += total[members] / max(total[members].mean(), 1e-30)
            count[members] += 1
    return result / np.maximum(count, 1)


def _labels(request: Request, name: str) -> Tensor:
    if request.labels is None:
        raise CutError(f"the criterion {name} needs labelled images; reconstruction and activation do not")
    return request.labels

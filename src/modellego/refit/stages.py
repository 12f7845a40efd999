"""Refit a cut network to the network it was cut from: front to back, one closed-form fit per stage, one walk."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, fx

from modellego.capture.layers import WeightedLayer
from modellego.capture.modes import evaluating
from modellego.capture.network import Network, peak_numbers
from modellego.capture.walk import GraphWalk, Values
from modellego.cut.plan import CutPlan
from modellego.errors import DataError, LegoError
from modellego.leastsquares import input_rows, output_rows, per_image, pick_positions
from modellego.progress import Update
from modellego.refit.fit import Rows, fit_stage
from modellego.refit.plan import Site, Stage, make_plan
from modellego.refit.values import RefitOptions, RefitReport, StageError
from modellego.refit.write import effective, has_bias, write


@torch.no_grad()
def refit(
    plan: CutPlan,
    small: Network,
    images: Tensor | Iterable[Tensor],
    *,
    options: RefitOptions | None = None,
    update: Update | None = None,
) -> RefitReport:
    """Refit every convolution and linear layer of `small`, in place, so that its feature maps match the source's.

    Front to back, by ridge regression towards the old weights: a layer (with the batch norm behind it) is fitted on
    what the refitted layers in front of it give, to what the uncut network has there. Layers whose outputs are
    added (a residual branch and a projected shortcut) are fitted together, to the sum less what is added besides, so
    that errors of the stream are made up for. Where a ReLU follows, what it clips is left out of the error. No
    labels, no gradient step.

    Args:
        plan: what was cut.
        small: what `cut(plan)` returned; changed in place.
        images: network input `[N, *input_shape]`, or batches of it; labels are not needed.
        options: see `RefitOptions`.
        update: called with (stages done, stages in all).

    Raises:
        DataError: no images, or images of another shape.
        LegoError: the networks do not fit each other.

    Source: least-squares channel reconstruction (He et al. 2017, arXiv 1707.06168) with the asymmetric,
    ReLU-aware form of Zhang et al. 2015 (arXiv 1505.06798), extended to sums of layers.

    >>> from modellego.capture import capture
    >>> from modellego.channels import analyse
    >>> from modellego.cut import cut, plan_cut
    >>> _ = torch.manual_seed(0)
    >>> wide = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> net = capture(wide, (3,))
    >>> found = analyse(net)
    >>> keep = found.keep_all()
    >>> keep[found.layer_out["0"][:2]] = False
    >>> plan = plan_cut(net, found, keep)
    >>> small = cut(plan)
    >>> report = refit(plan, small, torch.randn(50, 3))
    >>> report.stages[-1].after < report.stages[-1].before
    True
    """
    options = options or RefitOptions()
    batches = _batches(images, plan.network, small, options)
    with evaluating(plan.network.graph, small.graph):
        return _Refit(plan, small, batches, options).run(update)


def _batches(images: Tensor | Iterable[Tensor], source: Network, small: Network, options: RefitOptions) -> list[Tensor]:
    whole = images if isinstance(images, Tensor) else torch.cat(list(images))
    if len(whole) == 0 or tuple(whole.shape[1:]) != source.input_shape:
        raise DataError(
            f"refit needs images of shape {list(source.input_shape)}, preprocessed; got {list(whole.shape)}"
        )
    parameter = next((p for p in small.graph.parameters()), whole)
    numbers = (peak_numbers(source) + peak_numbers(small)) * parameter.element_size()
    most = max(1, options.memory // max(numbers, 1))
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(options.seed))[:most]
    whole = whole[order].to(parameter.device, parameter.dtype)
    # an even number of batches of about equal size: the ridge is chosen between the two halves
    count = max(2, 2 * math.ceil(len(whole) / options.batch / 2)) if len(whole) > 1 else 1
    return list(whole.tensor_split(count))


class _Refit:
    """The two walks side by side, and the stages on the way."""

    def __init__(
        self,
        plan: CutPlan,
        small: Network,
        batches: list[Tensor],
        options: RefitOptions,
    ) -> None:
        self.plan, self.batches, self.options = plan, batches, options
        source = plan.network
        self.generator = torch.Generator().manual_seed(options.seed)
        self.stages = make_plan(small)
        self.small_network = small
        self.modules = dict(small.graph.named_modules())
        names = {n.name: n for n in source.graph.graph.nodes}
        missing = [s.match.name for s in self.stages if s.match.name not in names]
        if missing:
            raise LegoError(f"{missing[0]} is not in the source: refit needs the network this one was cut from")
        self.twin = {s.match: names[s.match.name] for s in self.stages}
        self.shared_rows = self._shared_rows(source, small, names)
        late = {node: stage.at for stage in self.stages for node in stage.deferred}
        self.small = GraphWalk(small.graph, late=late)
        self.source = GraphWalk(source.graph, hold=self.twin.values())
        self.in_small = [self.small.start(batch) for batch in batches]
        self.in_source = [self.source.start(batch) for batch in batches]
        self.reached = 0
        self.fitted: set[fx.Node] = set()

    def run(self, update: Update | None) -> RefitReport:
        at = {stage.at: stage for stage in self.stages}
        deferred = {node for stage in self.stages for node in stage.deferred}
        done: list[StageError] = []
        for node in self.small.nodes:
            if node in deferred or node.op == "output":
                continue
            stage = at.get(node)
            if stage is not None:
                self._advance(self.twin[stage.match])
                done.append(self._fit(stage))
                for waiting in stage.deferred:
                    for values in self.in_small:
                        self.small.compute(waiting, values)
                self._drop(self.twin[stage.match])
                if update is not None:
                    update(len(done), len(self.stages))
            for values in self.in_small:
                self.small.compute(node, values)
                self.small.free(node, values)
        fitted = {name for s in done for name in s.layers}
        skipped = tuple(
            p
            for p in self.plan.channels.layer_in
            if p in self.modules and p not in fitted and isinstance(self.modules[p], WeightedLayer)
        )
        return RefitReport(tuple(done), sum(map(len, self.batches)), skipped)

    def _advance(self, target: fx.Node) -> None:
        """Walk the source up to and with a node."""
        while self.reached <= self.source.position[target]:
            node = self.source.nodes[self.reached]
            for values in self.in_source:
                self.source.compute(node, values)
                self.source.free(node, values)
            self.reached += 1
            for used in node.all_input_nodes:
                if used in self.fitted:
                    self._drop(used)

    def _drop(self, node: fx.Node) -> None:
        """Let go of a target that has been fitted to, where the source does not read it any more."""
        self.fitted.add(node)
        if all(self.source.position[user] < self.reached for user in node.users):
            for values in self.in_source:
                values.pop(node, None)

    def _mask(self, site: Site) -> Tensor:
        mask = self.plan.mask(self.plan.channels.layer_out[str(site.node.target)])
        if int(mask.sum()) != site.layer.weight.shape[0]:
            raise LegoError(
                f"{site.node.target} has {site.layer.weight.shape[0]} output channels, the plan keeps"
                f" {int(mask.sum())}: give refit the plan that was cut"
            )
        return torch.from_numpy(np.flatnonzero(mask)).to(site.layer.weight.device)

    def _wanted(self, stage: Stage) -> int:
        """Return how many positions of each image to sample."""
        features = sum(int(s.layer.weight[0].numel()) for s in stage.sites)
        rows = max(self.options.rows, 4 * features)
        return math.ceil(rows / sum(map(len, self.batches)))

    def _fit(self, stage: Stage) -> StageError:
        first = stage.sites[0]
        kept = self._mask(first)
        groups = getattr(first.layer, "groups", 1)
        count = per_image(first.layer, first.node.meta["shape"])
        wanted = min(self._wanted(stage), count)
        picked = [pick_positions(len(b), count, wanted, self.generator) for b in self.batches]
        extra = self.shared_rows.get(first.node, [])

        def rows() -> Iterator[Rows]:
            for i, sampled in enumerate(picked):
                positions = None if sampled is None else sampled.to(kept.device)
                x = torch.cat([self._inputs(s, i, positions) for s in stage.sites], 2)
                y = self.in_source[i][self.twin[stage.match]]
                target = output_rows(first.layer, y, positions)[:, kept].float()
                offset = None
                for other in stage.others:
                    term = output_rows(first.layer, self.in_small[i][other], positions).float()
                    offset = term if offset is None else offset + term
                yield x, _grouped(target, groups), None if offset is None else _grouped(offset, groups)
            yield from extra

        norms = [None if s.norm is None else self.modules[str(s.norm.target)] for s in stage.sites]
        parts = [effective(s.layer, n) for s, n in zip(stage.sites, norms, strict=True)]
        carriers = [has_bias(s.layer, n) for s, n in zip(stage.sites, norms, strict=True)]
        prior = torch.cat([w for w, _ in parts], 1)
        if any(carriers):
            bias = torch.stack([b for _, b in parts]).sum(0)
            prior = torch.cat([prior, _grouped(bias[None], groups)], 1)
        total = sum(len(b) for b in self.batches) * wanted + sum(x.shape[1] for x, _, _ in extra)
        try:
            fit = fit_stage(
                rows,
                total,
                prior,
                bias=any(carriers),
                bounds=stage.bounds,
                ridges=self.options.ridge,
                rounds=self.options.rectified,
            )
        except ValueError as error:
            raise DataError(f"{first.node.target}: {error}") from error
        weights = fit.solution.weights
        start = 0
        for i, (site, norm) in enumerate(zip(stage.sites, norms, strict=True)):
            size = parts[i][0].shape[1]
            part = slice(start, start + size)
            own = torch.zeros(site.layer.weight.shape[0], dtype=torch.float64, device=weights.device)
            if any(carriers) and i == carriers.index(True):
                own = weights[:, -1].reshape(-1)
            write(site.layer, norm, weights[:, part], own, fit, part)
            start += size
        layers = tuple(str(s.node.target) for s in stage.sites)
        used = fit.solution
        return StageError(stage.match.name, layers, fit.rows, start, used.ridge, used.jitter, fit.before, fit.after)

    def _inputs(self, site: Site, i: int, positions: Tensor | None) -> Tensor:
        x = self.in_small[i][site.node.all_input_nodes[0]]
        return input_rows(site.layer, x, tuple(site.node.meta["shape"][2:]), positions).float()

    def _shared_rows(self, source: Network, small: Network, names: dict[str, fx.Node]) -> dict[fx.Node, list[Rows]]:
        """Gather rows of a shared layer's later calls before the walk, which the first call is fitted on too.

        Their inputs are those of the cut network as it is: what the refitted one gives there depends on the fit.
        """
        found: dict[fx.Node, list[Rows]] = {}
        stages = [s for s in self.stages if s.calls]
        if not stages:
            return found
        for batch in self.batches:
            walks = [GraphWalk(n.graph, hold=n.graph.graph.nodes) for n in (source, small)]
            held = [walk.run(walk.start(batch)) for walk in walks]
            for stage in stages:
                for call in stage.calls:
                    self._add_call(found, stage, call, held[0][names[call.name]], held[1])
        return found

    def _add_call(
        self,
        found: dict[fx.Node, list[Rows]],
        stage: Stage,
        call: fx.Node,
        target: Tensor,
        values: Values,
    ) -> None:
        site = stage.sites[0]
        count = per_image(site.layer, call.meta["shape"])
        wanted = max(1, self._wanted(stage) // (1 + len(stage.calls)))
        positions = pick_positions(len(target), count, wanted, self.generator)
        groups = getattr(site.layer, "groups", 1)
        x = input_rows(site.layer, values[call.all_input_nodes[0]], tuple(call.meta["shape"][2:]), positions)
        y = output_rows(site.layer, target, positions)[:, self._mask(site)]
        found.setdefault(site.node, []).append((x.float(), _grouped(y.float(), groups), None))


def _grouped(rows: Tensor, groups: int) -> Tensor:
    """Turn `[M, Q]` into `[groups, M, Q/groups]`."""
    return rows.reshape(len(rows), groups, -1).transpose(0, 1)

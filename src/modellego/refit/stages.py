"""Refit a cut network to the network it was cut from: front to back, one closed-form fit per stage, images streamed."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx

from modellego.capture.layers import WeightedLayer
from modellego.capture.modes import evaluating
from modellego.capture.network import Network, peak_numbers
from modellego.capture.walk import GraphWalk, Values
from modellego.cut.plan import CutPlan
from modellego.data.chunks import NetworkInput, chunks, number_of, own_part
from modellego.data.release import release_freed
from modellego.distributed import agreed, summed
from modellego.errors import DataError, LegoError
from modellego.leastsquares import input_rows, output_rows, per_image, pick_positions
from modellego.progress import Update
from modellego.refit.checkpoints import execution_order, first_node, place_checkpoints
from modellego.refit.fit import Rows, fit_stage
from modellego.refit.held import Frontier, StageRows
from modellego.refit.options import RefitOptions
from modellego.refit.plan import Site, Stage, make_plan
from modellego.refit.report import RefitReport, StageError
from modellego.refit.shelf import Shelf
from modellego.refit.write import effective, has_bias, write

WORK = 150_000_000_000  # multiplications that a stage's products may take, but for four rows a feature
PRODUCTS = 9  # of a row's features with the weights, over all rounds


@dataclass(frozen=True)
class Fitted:
    """How far a refit has come: the errors of the stages that are fitted, and the small network's state after them."""

    stages: tuple[StageError, ...]
    weights: Mapping[str, Tensor]


@torch.no_grad()
def refit(
    plan: CutPlan,
    small: Network,
    images: NetworkInput,
    *,
    options: RefitOptions | None = None,
    update: Update | None = None,
    fitted: Fitted | None = None,
    each: Callable[[Fitted], None] | None = None,
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
        images: network input `[N, *input_shape]`, `Inputs`, or batches that can be gone through again; no labels.
            All of them are used, a few at a time; memory does not grow with their number. Of several processes each
            works on its share.
        options: see `RefitOptions`.
        update: called with (stages done, stages in all).
        fitted: the stages of an interrupted refit of the same networks and images, which are not fitted again.
        each: called after each stage with what could be given as `fitted`; its weights change with the next stage.

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
    _check_images(images, plan.network)
    with evaluating(plan.network.graph, small.graph):
        return _Refit(plan, small, images, options).run(update, fitted or Fitted((), {}), each)


def _check_images(images: NetworkInput, source: Network) -> None:
    first = next(chunks(images, 1), torch.empty(0))
    if len(first) == 0 or tuple(first.shape[1:]) != source.input_shape:
        raise DataError(
            f"refit needs images of shape {list(source.input_shape)}, preprocessed; got {list(first.shape[1:])}"
            if len(first)
            else "refit needs images, and there are none"
        )


class _Refit:
    """The cut network run from checkpoint to checkpoint, and its stages fitted on the way."""

    def __init__(self, plan: CutPlan, small: Network, images: NetworkInput, options: RefitOptions) -> None:
        self.plan, self.options = plan, options
        self.count = number_of(images)
        self.images, own = own_part(images)
        self.first = own.start
        self.stages = make_plan(small)
        self.modules = dict(small.graph.named_modules())
        self.small = GraphWalk(small.graph, order=execution_order(list(small.graph.graph.nodes), self.stages))
        source = plan.network
        names = {n.name: n for n in source.graph.graph.nodes}
        stage_of = {node: stage for stage in self.stages for node in (stage.match, *stage.calls)}
        missing = [node.name for node in stage_of if node.name not in names]
        if missing:
            raise LegoError(f"{missing[0]} is not in the source: refit needs the network this one was cut from")
        self.twins = {names[node.name]: (node, stage) for node, stage in stage_of.items()}
        self.kept = {stage.match: self._mask(stage.sites[0]) for stage in self.stages}
        self.source = GraphWalk(source.graph)
        parameter = next(small.graph.parameters(), torch.empty(0))
        self.device, self.dtype = parameter.device, parameter.dtype
        self.memory = options.memory // 16  # for each of targets, rows, and maps at a checkpoint
        each = (peak_numbers(source) + peak_numbers(small)) * parameter.element_size()
        self.at_once = max(1, min(options.batch, options.memory // 4 // max(each, 1)))
        self.positions: dict[tuple[int, fx.Node], Tensor | None] = {}

    def run(self, update: Update | None, fitted: Fitted, each: Callable[[Fitted], None] | None) -> RefitReport:
        checkpoints = place_checkpoints(self.small, self.stages)
        done: list[StageError] = []
        with Shelf(self.memory) as targets, ExitStack() as stack:
            parts = self._gather_targets(targets)
            if fitted.stages:
                self.small.graph.load_state_dict(fitted.weights)
            base: Frontier | None = None
            for k, stage in enumerate(self.stages):
                new = None
                if k in checkpoints:
                    new = stack.enter_context(Frontier(self.small, first_node(stage), self.memory))
                if k < len(fitted.stages):
                    done.append(fitted.stages[k])
                    for _ in self._reached(stage, base, len(parts), new) if new is not None else ():
                        pass  # the maps there are worked out again
                else:
                    done.append(self._fit_anew(stage, base, parts, new, targets))
                    if each is not None:
                        each(Fitted(tuple(done), self.small.graph.state_dict()))
                if new is not None:
                    if base is not None:
                        base.clear()
                    base = new
                if update is not None:
                    update(len(done), len(self.stages))
        layers = {name for s in done for name in s.layers}
        weighted = [p for p in self.plan.channels.layer_in if isinstance(self.modules.get(p), WeightedLayer)]
        return RefitReport(tuple(done), self.count, tuple(p for p in weighted if p not in layers))

    def _fit_anew(
        self, stage: Stage, base: Frontier | None, parts: Sequence[range], new: Frontier | None, targets: Shelf
    ) -> StageError:
        with StageRows(self.memory) as rows:
            for part, values in self._reached(stage, base, len(parts), new):
                rows.add(parts[part].start, *self._rows(stage, part, values, targets))
            for call in stage.calls:
                for part, numbers in enumerate(parts):
                    wanted = targets.take((part, call))
                    each = len(wanted) // len(numbers)
                    rows.add(numbers.start, each, targets.take((part, call, "inputs")), wanted, None)
            return self._fit(stage, rows)

    def _reached(
        self, stage: Stage, base: Frontier | None, parts: int, new: Frontier | None
    ) -> Iterator[tuple[int, Values]]:
        """Run all images, a part at a time, from the last checkpoint to a stage; make a new one there if asked."""
        if base is None:
            starts = (self.small.start(chunk) for chunk in self._chunks())
        else:
            starts = (base.get(part, last=new is not None) for part in range(parts))
        for part, values in enumerate(starts):
            self.small.run(values, None if base is None else base.node, first_node(stage))
            yield part, values
            if new is not None:
                new.put(part, values)
            if part % 4 == 3:
                release_freed()

    def _chunks(self) -> Iterator[Tensor]:
        for chunk in chunks(self.images, self.at_once):
            yield chunk.to(self.device, self.dtype)

    def _gather_targets(self, targets: Shelf) -> list[range]:
        """Run the source once, draw each stage's positions, keep what it has there; return each part's image numbers.

        A shared layer is fitted on its later calls too. Their inputs are those of the cut network as it is: what the
        refitted one gives there depends on the fit.
        """
        calls = {call: stage for stage in self.stages for call in stage.calls}
        seeds = {own: self.options.seed * len(self.twins) + place for place, (own, _) in enumerate(self.twins.values())}
        parts: list[range] = []
        first = self.first

        def keep(node: fx.Node, values: Values) -> None:
            if node not in self.twins:
                return
            own, stage = self.twins[node]
            site = stage.sites[0]
            total = per_image(site.layer, (own if own in calls else site.node).meta["shape"])
            wanted = max(1, self._wanted(stage) // (1 + len(stage.calls))) if own in calls else self._wanted(stage)
            numbers = torch.arange(first, first + len(values[node]))
            picked = pick_positions(numbers, total, wanted, seeds[own])
            part = len(parts)
            self.positions[part, own] = picked
            targets.put(
                (part, own), output_rows(site.layer, values[node], picked)[:, self.kept[stage.match]].float().cpu()
            )

        def keep_inputs(node: fx.Node, values: Values) -> None:
            if node in calls:
                site = calls[node].sites[0]
                rows = _inputs(site, node, values, self.positions[len(parts), node])
                targets.put((len(parts), node, "inputs"), rows)

        end = max((self.source.position[node] for node in self.twins), default=-1) + 1
        for chunk in self._chunks():
            self.source.run(self.source.start(chunk), stop=self.source.nodes[end], after=keep)
            if calls:
                self.small.run(self.small.start(chunk), before=keep_inputs)
            parts.append(range(first, first + len(chunk)))
            first += len(chunk)
        return parts

    def _mask(self, site: Site) -> Tensor:
        mask = self.plan.mask(self.plan.channels.layer_out[str(site.node.target)])
        if int(mask.sum()) != site.layer.weight.shape[0]:
            raise LegoError(
                f"{site.node.target} has {site.layer.weight.shape[0]} output channels, the plan keeps"
                f" {int(mask.sum())}: give refit the plan that was cut"
            )
        return torch.from_numpy(np.flatnonzero(mask))

    def _wanted(self, stage: Stage) -> int:
        """Return how many positions of each image to sample, at most."""
        groups = getattr(stage.sites[0].layer, "groups", 1)
        features = sum(int(s.layer.weight[0].numel()) for s in stage.sites)
        outputs = stage.sites[0].layer.weight.shape[0]
        a_row = features * (groups * features + PRODUCTS * outputs)
        return math.ceil(max(4 * features, min(self.options.rows, WORK // a_row)) / self.count)

    def _rows(
        self, stage: Stage, part: int, values: Values, targets: Shelf
    ) -> tuple[int, Tensor, Tensor, Tensor | None]:
        """Return how many rows an image has, and a part's rows: what is read, the targets, what is added."""
        picked = self.positions.pop((part, stage.match))
        x = torch.cat([_inputs(s, s.node, values, picked) for s in stage.sites], 2)
        offset = None
        for other in stage.others:
            term = output_rows(stage.sites[0].layer, values[other], picked).float().cpu()
            offset = term if offset is None else offset + term
        each = per_image(stage.sites[0].layer, stage.sites[0].node.meta["shape"]) if picked is None else picked.shape[1]
        return each, x, targets.take((part, stage.match)), offset

    def _fit(self, stage: Stage, rows: StageRows) -> StageError:
        first = stage.sites[0]
        groups = getattr(first.layer, "groups", 1)
        norms = [None if s.norm is None else self.modules[str(s.norm.target)] for s in stage.sites]
        parts = [effective(s.layer, n) for s, n in zip(stage.sites, norms, strict=True)]
        carriers = [has_bias(s.layer, n) for s, n in zip(stage.sites, norms, strict=True)]
        prior = torch.cat([w for w, _ in parts], 1)
        if any(carriers):
            bias = torch.stack([b for _, b in parts]).sum(0)
            prior = torch.cat([prior, _grouped(bias[None], groups)], 1)

        def grouped() -> Iterator[Rows]:
            for x, target, offset, numbers in rows:
                yield x, _grouped(target, groups), None if offset is None else _grouped(offset, groups), numbers

        total = torch.tensor(rows.total)
        summed(total)
        try:
            fit = fit_stage(
                grouped,
                int(total),
                prior,
                bias=any(carriers),
                bounds=stage.bounds,
                ridges=self.options.ridge,
                rounds=self.options.rectified,
            )
        except ValueError as error:
            raise DataError(f"{first.node.target}: {error}") from error
        weights = agreed(fit.solution.weights)
        start = 0
        for i, (site, norm) in enumerate(zip(stage.sites, norms, strict=True)):
            size = parts[i][0].shape[1]
            part = slice(start, start + size)
            own = torch.zeros(site.layer.weight.shape[0], dtype=torch.float64)
            if any(carriers) and i == carriers.index(True):
                own = weights[:, -1].reshape(-1)
            write(site.layer, norm, weights[:, part], own, fit, part)
            start += size
        layers = tuple(str(s.node.target) for s in stage.sites)
        used = fit.solution
        return StageError(
            stage.match.name, layers, fit.rows, start, used.ridge, used.jitter, fit.before, fit.after, fit.every
        )


def _inputs(site: Site, call: fx.Node, values: Values, positions: Tensor | None) -> Tensor:
    """Return what a call of a site's layer reads at some positions, `[groups, M, F]`."""
    x = values[call.all_input_nodes[0]]
    return input_rows(site.layer, x, tuple(call.meta["shape"][2:]), positions).float().cpu()


def _grouped(rows: Tensor, groups: int) -> Tensor:
    """Turn `[M, Q]` into `[groups, M, Q/groups]`."""
    return rows.reshape(len(rows), groups, rows.shape[1] // groups).transpose(0, 1)

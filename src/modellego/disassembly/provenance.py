"""What a new brick says of itself: where it comes from, how it was cut and refitted, what it scored."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from modellego.brick import Brick, BrickInfo, Cut, Origin
from modellego.capture.cost import Cost, network_cost
from modellego.capture.network import Network
from modellego.cut import CutPlan
from modellego.data import ImageSet
from modellego.evaluation import layer_widths, logits_of_each, restricted, score
from modellego.progress import Progress, silent
from modellego.refit import RefitReport


def describe(
    whole: Brick,
    plan: CutPlan,
    small: Network,
    before: Cost,
    criterion: str,
    options: dict[str, Any],
    rescued: Sequence[int],
    report: RefitReport | None,
) -> Brick:
    """Return the network that a plan's cut made as a brick that knows where it comes from, how it was made, its cost.

    `before` is what the whole network costs, `rescued` the channel groups kept so that no tensor ends empty.
    """
    if rescued:
        options = options | {"rescued": [int(s) for s in rescued]}
    kept, total = plan.counts
    classes = tuple(whole.classes[i] for i in plan.task)
    info = BrickInfo(
        classes=classes,
        members={name: whole.info.members[name] for name in classes if name in whole.info.members},
        inputs=whole.info.inputs,
        input_shape=whole.info.input_shape,
        preprocess=whole.info.preprocess,
        sources=lineage(whole.info.sources, whole.info.sizes, plan.task),
        cut=Cut(criterion=criterion, options=options, kept=kept, total=total, widths=layer_widths(whole)),
        refit=refit_record(report) if report is not None else None,
        scores=costs(before, network_cost(small)),
        notes=" ".join(filter(None, [whole.info.notes if whole.info.cut is None else "", _rescue_note(len(rescued))])),
    )
    return Brick(small.graph, info)


def costs(before: Cost, after: Cost) -> dict[str, float | None]:
    """Return what a brick says of its cost and its source's: multiply-accumulates of one image, and parameters."""
    return {
        "macs": after.macs,
        "macs_base": before.macs,
        "parameters": after.parameters,
        "parameters_base": before.parameters,
    }


def refit_record(report: RefitReport) -> dict[str, Any]:
    """Return what a brick keeps of its refit: mean relative squared errors, and those of every stage.

    `rows_thinned` names layers too wide for all their rows, each with n where every n-th row was used.
    """
    stages = [{"layers": list(s.layers), "before": float(s.before), "after": float(s.after)} for s in report.stages]
    return {
        "method": report.method,
        "images": report.images,
        **({"rows_thinned": dict(report.thinned)} if report.thinned else {}),
        "error_before": float(np.mean([s.before for s in report.stages])),
        "error_after": float(np.mean([s.after for s in report.stages])),
        "stages": stages,
    }


def _rescue_note(count: int) -> str:
    return f"{count} tensors would have ended without channels: the best channel of each was kept." if count else ""


def lineage(sources: Sequence[Origin], sizes: Sequence[int], task: Sequence[int]) -> tuple[Origin, ...]:
    """Return the sources that the task's classes come from, with the classes taken from each.

    `sizes` says of how many classes of the sources, in their order, each class is made.
    """
    places = [(i, k) for i, source in enumerate(sources) for k in range(len(source.classes))]
    if len(places) != sum(sizes):
        return tuple(sources)
    ends = np.cumsum(sizes).tolist()
    wanted = [p for t in task for p in range(ends[t] - sizes[t], ends[t])]
    taken: list[Origin] = []
    for i, source in enumerate(sources):
        mine = [places[p][1] for p in wanted if places[p][0] == i]
        if mine:
            names, of = tuple(source.classes[k] for k in mine), tuple(source.of[k] for k in mine)
            taken.append(source.model_copy(update={"classes": names, "of": of}))
    return tuple(taken)


def with_accuracy(
    brick: Brick, whole: Brick, task: Sequence[int], test: ImageSet | None, progress: Progress = silent
) -> Brick:
    """Score a brick and its source on the test part, in one pass over it, and write the scores into the brick."""
    found: dict[str, float | None] = {
        "base_accuracy": None,
        "base_restricted_accuracy": None,
        "brick_accuracy": None,
        "brick_balanced_accuracy": None,
    }
    on_task = test.select(task) if test is not None else None
    if on_task is not None and len(on_task):
        with progress("score", "images") as update:
            source_logits, logits = logits_of_each([whole, brick], on_task, update=update)
        found["base_accuracy"], found["base_restricted_accuracy"] = restricted(
            source_logits, list(task), on_task.labels
        )
        scores = score(logits, on_task.labels)
        found["brick_accuracy"], found["brick_balanced_accuracy"] = scores.accuracy, scores.balanced_accuracy
    brick.info = brick.info.changed(scores=found | brick.info.scores)
    return brick

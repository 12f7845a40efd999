"""From a brick or an assembled model, and data, to what its report shows."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from modellego.brick import Assembled, Brick, confidence
from modellego.data import Data, DataLike, ImageSet, MappingLike, load_data, match_labels
from modellego.decision_routes import RouteGraph, routes
from modellego.errors import DataError
from modellego.evaluation import (
    auroc,
    cost,
    largest_probability,
    latency,
    logits_of,
    off_task_images,
    saved_score,
    score,
    scoring_images,
)
from modellego.evaluation.scores import Scores, right_answers
from modellego.progress import Progress, silent
from modellego.reporting.contents import Example, ModelSize, OffTaskConfidence, ReportData, Score
from modellego.reporting.examples import draw_examples
from modellego.reporting.family import facts, groups, lineage, sizes, widths
from modellego.reporting.html import render_report

_STATISTICS = {
    "max_probability": "largest softmax",
    "energy": "energy",
    "max_logit": "largest logit",
    "margin": "margin of the two largest softmax values",
}
MOST_ROUTES = 10  # classes that a route picture follows


def report(
    model: Brick | Assembled,
    data: DataLike | None = None,
    *,
    name: str = "brick",
    sources: Sequence[Brick] = (),
    mapping: MappingLike | None = None,
    route_classes: str | Sequence[str | int] | None = None,
    with_routes: bool = True,
    latency_runs: int = 0,
    progress: Progress = silent,
) -> str:
    """Return the report of a model as one self-contained HTML page; arguments as in `report_data`.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> brick = whole_brick(net, Preprocess(1, 8, 8), [str(digit) for digit in range(10)], "linear")
    >>> "<h1>digits</h1>" in report(brick, "digits", name="digits", with_routes=False)
    True
    """
    shown = report_data(
        model,
        data,
        name=name,
        sources=sources,
        mapping=mapping,
        route_classes=route_classes,
        with_routes=with_routes,
        latency_runs=latency_runs,
        progress=progress,
    )
    return render_report(shown)


def report_data(
    model: Brick | Assembled,
    data: DataLike | None = None,
    *,
    name: str = "brick",
    sources: Sequence[Brick] = (),
    mapping: MappingLike | None = None,
    route_classes: str | Sequence[str | int] | None = None,
    with_routes: bool = True,
    latency_runs: int = 0,
    progress: Progress = silent,
) -> ReportData:
    """Gather all that a report shows.

    Args:
        model: a brick or an assembled model.
        data: labelled images, or what names them. The test images score, and some of them are shown; those of other
            classes show the behaviour off the task, the training images draw the routes. Without data the scores saved
            in the brick are shown.
        name: what the report calls the model.
        sources: the whole source models as bricks, for base and base restricted class by class, and layer widths.
        mapping: data class name -> model class name or index, where names do not meet by themselves.
        route_classes: the classes whose routes are drawn; by default the first ten of each brick.
        with_routes: whether routes are drawn at all.
        latency_runs: time one image over so many passes, where above 0.
        progress: follows the images that are scored, and the routes.

    Raises:
        DataError: no class of the data is a class of the model, or of a source given.
    """
    read = None if data is None else load_data(data)
    timed = latency_runs if read is not None else 0
    scores, confusion, per_class, off = _saved_scores(model, name), None, None, None
    examples: tuple[Example, ...] = ()
    if read is not None:
        images = scoring_images(read)
        on_task = images.for_model(model.vocabulary, mapping)
        with progress("score", "images") as update:
            logits = logits_of(model, on_task, update=update)
        found = score(logits, on_task.labels)
        confusion = found.confusion
        base, per_class = _base_scores(model, on_task, sources)
        scores = (*(base or scores[:-1]), _own_score(name, found))
        others = off_task_images(model, images, mapping)
        off = _off_task(model, others, logits)
        examples = draw_examples(model, on_task, logits, others)
    return ReportData(
        title=name,
        summary=_summary(model),
        classes=model.classes,
        lineage=lineage(model, name),
        sizes=_with_latency(sizes(model, name, sources), model, read, timed),
        scores=scores,
        confusion=confusion,
        restricted_per_class=per_class,
        groups=groups(model),
        off_task=off,
        routes=_routes(model, read, mapping, route_classes, progress) if with_routes and read is not None else (),
        widths=widths(model, sources),
        facts=facts(model),
        notes=_notes(model, read),
        examples=examples,
        rejects=model.info.reject is not None,
    )


def _summary(model: Brick | Assembled) -> str:
    names = list(dict.fromkeys(source.name for source in model.info.sources))
    count = len(model.classes)
    classes = f"{count} class" if count == 1 else f"{count} classes"
    if isinstance(model, Assembled):
        return f"{classes} of {len(model.bricks)} bricks, assembled" + (f" from {' and '.join(names)}" if names else "")
    whole = model.info.cut is None
    return f"{classes} of {' and '.join(names)}" + (", uncut" if whole else "") if names else classes


def _saved_scores(model: Brick | Assembled, name: str) -> tuple[Score, ...]:
    """The scores a brick was saved with; the last row is the model's own."""
    saved = model.info.scores
    rows = []
    for title, key in (("base", "base_accuracy"), ("base restricted", "base_restricted_accuracy")):
        if saved.get(key) is not None:
            rows.append(Score(title, saved[key], note="as saved in the brick"))
        elif isinstance(model, Assembled):
            mean = saved_score(model, key)
            if mean is not None:
                rows.append(Score(title, None, mean, "mean over the classes of the scores saved in the bricks"))
    for prefix in ("brick", "assembled"):
        if saved.get(f"{prefix}_accuracy") is not None:
            own = Score(
                name, saved[f"{prefix}_accuracy"], saved.get(f"{prefix}_balanced_accuracy"), "as saved in the brick"
            )
            return (*rows, own)
    return (*rows, Score(name, None)) if rows else ()


def _own_score(name: str, found: Scores) -> Score:
    return Score(name, found.accuracy, found.balanced_accuracy, f"{found.images:,} images")


def _base_scores(
    model: Brick | Assembled, on_task: ImageSet, sources: Sequence[Brick]
) -> tuple[tuple[Score, ...], NDArray[np.float64] | None]:
    """Score the uncut sources, each on the images of its own classes; with several, pooled over all images.

    Returns the rows of the table and base restricted of each class, float64 `[classes]`, nan where no source has it.
    """
    if not sources:
        return (), None
    right = np.zeros((2, len(on_task)), bool)  # base, base restricted
    known = np.zeros(len(model.classes), bool)
    for source in sources:
        number = match_labels(source.classes, model.classes)
        task = np.full(len(model.classes), -1, np.int64)
        task[number[number >= 0]] = np.flatnonzero(number >= 0)
        mine = np.flatnonzero((task >= 0) & ~known)
        if not len(mine):
            raise DataError(f"a source has no class of this model ({', '.join(source.classes[:3])}, ...): leave it out")
        known[mine] = True
        (rows,) = np.nonzero(np.isin(on_task.labels, mine))
        among = np.searchsorted(mine, on_task.labels[rows])
        right[:, rows] = right_answers(logits_of(source, on_task.subset(rows)), task[mine].tolist(), among)
    plural = "sources, each on its own classes" if len(sources) > 1 else "source"
    counted = np.isin(on_task.labels, np.flatnonzero(known))
    rows_of = []
    per_class = np.full(len(model.classes), np.nan)
    for title, hits, note in zip(("base", "base restricted"), right, ("all logits", "the task's logits"), strict=True):
        shares = [hits[on_task.labels == label].mean() if (on_task.labels == label).any() else np.nan
                  for label in np.flatnonzero(known)]  # fmt: skip
        per_class[known] = shares
        accuracy = float(hits[counted].mean()) if counted.any() else None
        rows_of.append(Score(title, accuracy, float(np.nanmean(shares)), f"the uncut {plural}, {note}"))
    return tuple(rows_of), per_class


def _off_task(model: Brick | Assembled, others: ImageSet, on_logits: torch.Tensor) -> OffTaskConfidence | None:
    if not len(others) or not len(on_logits):
        return None
    both, rule, threshold = (on_logits, logits_of(model, others)), model.info.reject, None
    if rule is not None:
        inside, outside = (confidence(x.double(), rule.statistic).cpu().numpy() for x in both)
        statistic, threshold = _STATISTICS[rule.statistic], rule.threshold
    elif len(model.classes) == 1:  # its softmax is always 1
        inside, outside = (torch.sigmoid(x.double()[:, 0]).cpu().numpy() for x in both)
        statistic = "sigmoid of the only logit"
    else:
        inside, outside = (largest_probability(x) for x in both)
        statistic = _STATISTICS["max_probability"]
    told = auroc(inside, outside)
    classes = len(np.unique(others.labels))
    return OffTaskConfidence(
        inside,
        outside,
        0.5 if told is None else told,
        statistic,
        threshold,
        f"{len(others):,} test images of {classes} other {'class' if classes == 1 else 'classes'}.",
    )


def _routes(
    model: Brick | Assembled,
    data: Data,
    mapping: MappingLike | None,
    classes: str | Sequence[str | int] | None,
    progress: Progress,
) -> tuple[RouteGraph, ...]:
    chosen = classes if classes is not None else _first_of_each(groups(model) or [""] * len(model.classes))
    return routes(model, data, chosen, mapping=mapping, progress=progress)


def _first_of_each(owners: Sequence[str]) -> list[int]:
    """Return the numbers of the first classes of each brick, so many as a route picture follows.

    >>> _first_of_each(["a"] * 12 + ["b"] * 2)
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13]
    """
    return [i for i, owner in enumerate(owners) if list(owners[:i]).count(owner) < MOST_ROUTES]


def _with_latency(
    found: tuple[ModelSize, ...], model: Brick | Assembled, data: Data | None, runs: int
) -> tuple[ModelSize, ...]:
    if not runs or data is None:
        return found
    own = found[-1]
    median = latency(model, scoring_images(data).images([0]), runs).median
    return (*found[:-1], ModelSize(own.name, own.parameters, own.macs, own.bytes, 1000 * median))


def _notes(model: Brick | Assembled, data: Data | None) -> tuple[str, ...]:
    missed = cost(model).not_counted
    notes = [f"The MACs leave out: {', '.join(missed)}."] if missed else []
    if data is not None and data.test is None:
        notes.append("There are no test images: the scores come from the images that the brick was chosen by.")
    if model.info.notes:
        notes.append(model.info.notes)
    return tuple(notes)

"""The verb `disassemble`: from a trained classifier and some images a class to a brick for a few of its classes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modellego.brick import Assembled, Brick, BrickInfo, Cut
from modellego.brick import Source as Lineage
from modellego.capture.network import Network
from modellego.channels import ChannelMap, KeepMask, analyse
from modellego.contribution.relevance import Thresholds, plan_flow, relevance, relevant_sets, set_scores
from modellego.contribution.samples import PER_CLASS, select_samples, true_class_probabilities
from modellego.contribution.stream import class_sums
from modellego.cut import cut, rescue
from modellego.data import Data, ImageSet, load_data, resolve_classes
from modellego.errors import CutError, DataError
from modellego.evaluate import cost, image_batches, logits_of, restricted, score
from modellego.preprocess import Preprocess
from modellego.progress import Stages, silent
from modellego.refit import RefitOptions, RefitReport, refit
from modellego.whole import whole_brick

REFIT_IMAGES = 200


@dataclass(frozen=True)
class Samples:
    """Which training images of a class contributions are taken from: the surest `per_class`, or a `share` of them."""

    per_class: int = PER_CLASS
    share: float | None = None


@dataclass(frozen=True)
class Choice:
    """Which channel sets are kept, bool [n_sets], and the sets that were rescued so that no tensor ends empty."""

    keep: KeepMask
    rescued: tuple[int, ...]
    scores: NDArray[np.float64]


def disassemble(
    model: nn.Module | Brick,
    data: ImageSet | Data | str | Sequence[str],
    classes: str | Sequence[str | int],
    *,
    preprocess: Preprocess | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "model",
    thresholds: Thresholds | None = None,
    samples: Samples | None = None,
    refit_images: int = REFIT_IMAGES,
    refit_options: RefitOptions | None = None,
    seed: int = 0,
    stages: Stages = silent,
) -> Brick:
    """Cut the task-aware component for some classes out of a classifier, and repair the cut in closed form.

    Args:
        model: a brick (whole or cut before), or any captured-able `nn.Module` with `preprocess` (and `class_names`).
        data: labelled images in [0,1], or what names them; train serves to choose, test only to score.
        classes: `"0-2,7"`, `"cat,dog"`, or a list of names and indices of the model's classes.
        preprocess: what an image goes through before the model, where it is not a brick.
        class_names: the model's classes, where it is not a brick; by default the data's, if as many.
        name: what the lineage calls the source.
        thresholds: alpha and beta for convolutions and linear layers, and the rule; by default the paper's.
        samples: from which images contributions are taken.
        refit_images: images a class for the refit; 0 leaves the cut as it is.
        refit_options: see `RefitOptions`.
        seed: of the choice of refit images.
        stages: follows the long parts.

    Raises:
        CaptureError: the model cannot be captured.
        DataError: unknown classes, a class without images, images that do not fit.
        CutError: nothing could be cut as asked.

    Source: "Model LEGO", NeurIPS 2024, sections on contribution, relative contribution and parameter linking.

    >>> from modellego.data import load_data
    >>> digits = load_data("digits")
    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    >>> brick = disassemble(net, digits, "0-2", preprocess=Preprocess(1, 8, 8), class_names=digits.classes)
    >>> brick.classes
    ('0', '1', '2')
    """
    whole = as_brick(model, preprocess, class_names, name)
    images = data if isinstance(data, ImageSet | Data) else load_data(data)
    images = Data(images) if isinstance(images, ImageSet) else images
    task = resolve_classes(classes, whole.classes)
    known = images.for_model(whole.classes)
    known.train.need(task)
    network = whole.captured()
    channels = analyse(network)
    if not channels.cuttable.any():
        raise CutError(f"{name} has no channels that may be cut: run `modellego inspect` to see why")
    thresholds = thresholds or Thresholds()
    chosen = sample_images(whole, known.train, task, samples or Samples(), stages)
    choice = by_thresholds(network, channels, prepared(whole, known.train, chosen), thresholds, stages)
    small = cut(network, channels, choice.keep, task)
    report = None
    if refit_images:
        picked = calibration(known.train, task, refit_images, seed)
        inputs = torch.cat([whole.prepare(b) for b, _ in image_batches(whole, known.train.subset(picked))])
        with stages("refit", "layers") as update:
            report = refit(
                network, small, channels, choice.keep, inputs, logits=task, options=refit_options, progress=update
            )
    described = {"thresholds": asdict(thresholds), "samples": asdict(samples or Samples())}
    brick = describe(whole, small, task, channels, choice, "contribution", described, report)
    return with_scores(brick, whole, task, known.test, stages)


def as_brick(
    model: nn.Module, preprocess: Preprocess | None, class_names: Sequence[str] | None, name: str = "model"
) -> Brick:
    """Return a brick as it is, and capture any other module whole."""
    if isinstance(model, Brick):
        return model
    if isinstance(model, Assembled):
        raise CutError(
            "an assembled model is taken apart brick by brick: disassemble its `.bricks`, then assemble again"
        )
    if preprocess is None:
        raise DataError("a bare model needs preprocess=Preprocess(channels, height, width, mean, std)")
    return whole_brick(model, preprocess, class_names, name)


def sample_images(
    whole: Brick, train: ImageSet, task: Sequence[int], samples: Samples, stages: Stages = silent
) -> dict[int, NDArray[np.int64]]:
    """Choose each class's sample images, the surest by the true class's softmax: class -> indices into `train`."""
    (candidates,) = np.nonzero(np.isin(train.labels, task))
    part = train.subset(candidates)
    whole.eval()
    with stages("samples", "images") as update:
        done = 0

        def batches() -> Any:
            nonlocal done
            for images, labels in image_batches(whole, part):
                yield whole.prepare(images), labels
                done += len(labels)
                update(done, len(part))

        found = true_class_probabilities(whole.network, batches())
    chosen = select_samples(
        found, part.labels, task, per_class=samples.per_class, share=samples.share, names=whole.classes
    )
    return {label: candidates[indices] for label, indices in chosen.items()}


def prepared(whole: Brick, train: ImageSet, chosen: dict[int, NDArray[np.int64]]) -> list[tuple[int, list[Tensor]]]:
    """Return each class with its sample images as batches of network input."""
    return [
        (label, [whole.prepare(b) for b, _ in image_batches(whole, train.subset(indices), 100)])
        for label, indices in chosen.items()
    ]


def by_thresholds(
    network: Network,
    channels: ChannelMap,
    samples: list[tuple[int, list[Tensor]]],
    thresholds: Thresholds,
    stages: Stages = silent,
) -> Choice:
    """Keep what any class of the task finds relevant (PAPER section 1); no tensor may end empty."""
    flow = plan_flow(network, channels)
    keep = np.zeros(channels.n_sets, dtype=np.bool_)
    scores = np.zeros(channels.n_sets)
    with stages("contribution", "classes") as update:
        for done, (label, sums) in enumerate(class_sums(network, samples, channel_map=channels), 1):
            found = relevance(flow, channels, sums, label, thresholds)
            keep |= relevant_sets(channels, found)
            scores = np.maximum(scores, set_scores(channels, found))
            update(done, len(samples))
    kept, rescued = rescue(channels, keep, scores)
    return Choice(kept, tuple(rescued), scores)


def calibration(train: ImageSet, task: Sequence[int], per_class: int, seed: int) -> NDArray[np.int64]:
    """Draw up to `per_class` images of each class at random: indices into `train`, ascending."""
    random = np.random.default_rng(seed)
    picked = [random.permutation(train.of_class(label))[:per_class] for label in task]
    return np.sort(np.concatenate(picked))


def describe(
    whole: Brick,
    small: Network,
    task: Sequence[int],
    channels: ChannelMap,
    choice: Choice,
    criterion: str,
    options: dict[str, Any],
    report: RefitReport | None,
) -> Brick:
    """Return the cut network as a brick that knows where it comes from and how it was made."""
    names = tuple(whole.classes[i] for i in task)
    inner = np.ones(channels.n_sets, dtype=np.bool_)
    if channels.logit_sets is not None:
        inner[channels.logit_sets] = False
    rescued = {"rescued": [int(s) for s in choice.rescued]} if choice.rescued else {}
    how = Cut(
        criterion=criterion, options=options | rescued, kept=int(choice.keep[inner].sum()), total=int(inner.sum())
    )
    info = BrickInfo(
        classes=names,
        input_shape=whole.info.input_shape,
        preprocess=whole.info.preprocess,
        sources=lineage(whole.info.sources, whole.classes, task),
        cut=how,
        refit=refit_record(report) if report is not None else None,
        notes=rescue_note(len(choice.rescued)),
    )
    return Brick(small.graph, info)


def refit_record(report: RefitReport) -> dict[str, Any]:
    """Return what a brick keeps of its refit: mean relative squared errors, and those of every stage."""
    stages = [{"layers": list(s.layers), "before": float(s.before), "after": float(s.after)} for s in report.stages]
    return {
        "method": "least squares",
        "images": report.images,
        "error_before": float(np.mean([s.before for s in report.stages])),
        "error_after": float(np.mean([s.after for s in report.stages])),
        "stages": stages,
    }


def rescue_note(count: int) -> str:
    """Say how many tensors would have ended empty."""
    return f"{count} tensors would have ended without channels: the best channel of each was kept." if count else ""


def lineage(sources: Sequence[Lineage], classes: Sequence[str], task: Sequence[int]) -> tuple[Lineage, ...]:
    """Return the sources that the task's classes come from, with the classes taken from each."""
    places = [(i, k) for i, source in enumerate(sources) for k in range(len(source.classes))]
    if len(places) != len(classes):
        return tuple(sources)
    taken: list[Lineage] = []
    for i, source in enumerate(sources):
        mine = [places[t][1] for t in task if places[t][0] == i]
        if mine:
            names, of = tuple(source.classes[k] for k in mine), tuple(source.of[k] for k in mine)
            taken.append(source.model_copy(update={"classes": names, "of": of}))
    return tuple(taken)


def with_scores(
    brick: Brick, whole: Brick, task: Sequence[int], test: ImageSet | None, stages: Stages = silent
) -> Brick:
    """Score a brick and its source on the test part, once, and write scores and costs into the brick."""
    before, after = cost(whole), cost(brick)
    found: dict[str, float | None] = {
        "base_accuracy": None,
        "base_restricted_accuracy": None,
        "brick_accuracy": None,
        "brick_balanced_accuracy": None,
        "macs": after.macs,
        "macs_base": before.macs,
        "parameters": after.parameters,
        "parameters_base": before.parameters,
    }
    on_task = test.select(task) if test is not None else None
    if on_task is not None and len(on_task):
        with stages("score", "images") as update:
            source_logits = logits_of(whole, on_task)
            logits = logits_of(brick, on_task, progress=update)
        found["base_accuracy"], found["base_restricted_accuracy"] = restricted(
            source_logits, list(task), on_task.labels
        )
        scores = score(logits, on_task.labels)
        found["brick_accuracy"], found["brick_balanced_accuracy"] = scores.accuracy, scores.balanced_accuracy
    brick.info = brick.info.changed(scores=found)
    return brick


__all__ = ["Choice", "Samples", "calibration", "disassemble", "sample_images", "with_scores"]

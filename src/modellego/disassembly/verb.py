"""The verb `disassemble`: from a trained classifier and some images per class to a brick for a few of its classes."""

import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from modellego.brick import Brick
from modellego.brick.made import made_here
from modellego.brick.reject_rule import Statistic
from modellego.contribution.flow import plan_flow
from modellego.contribution.relevance import Thresholds
from modellego.contribution.stream import ClassSums
from modellego.cut import cut
from modellego.data import Data, DataLike, MappingLike, load_data
from modellego.data.chunks import NetworkInput
from modellego.data.content import content_digest
from modellego.data.store import Store, as_store
from modellego.devices import AUTO, home_of, moved, place
from modellego.disassembly.checkpoint import Checkpoint
from modellego.disassembly.choose import (
    Choice,
    DrawnImages,
    by_budget,
    by_sums,
    by_thresholds,
    draw_calibration,
    network_input,
    rank_groups,
)
from modellego.disassembly.identity import identify
from modellego.disassembly.job import Job, as_brick, prepare
from modellego.disassembly.options import REFIT_IMAGES, CutOptions
from modellego.disassembly.provenance import describe, with_accuracy
from modellego.disassembly.sampling import Samples, sample_batches, sampled
from modellego.disassembly.tuned import check_tuning, tuned
from modellego.distributed import processes
from modellego.errors import FormatError
from modellego.locate import Budget, Curve
from modellego.locate.criteria import ALIASES
from modellego.locate.eliminate import probed_of
from modellego.preprocess import Preprocess
from modellego.progress import Progress, silent
from modellego.refit import RefitOptions, refit
from modellego.refit.methods import LEAST_SQUARES
from modellego.refit.methods import refit_by as repair_by
from modellego.rejection.rule import add_reject_rule
from modellego.sources.normalisation import note_normalisation, tried_on
from modellego.sources.whole import name_classes

_log = logging.getLogger(__name__)
SOUND = 20  # images of a class, a rule of thumb: a fit to fewer follows these images more than the class


def disassemble(
    model: nn.Module | Brick,
    data: DataLike,
    classes: str | Sequence[str | int],
    *,
    budget: Budget | None = None,
    criterion: str | None = None,
    preprocess: Preprocess | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "model",
    thresholds: Thresholds | None = None,
    samples: Samples | None = None,
    refit_images: int = REFIT_IMAGES,
    refit_data: Tensor | Store | None = None,
    refit_options: RefitOptions | None = None,
    refit_by: str = LEAST_SQUARES,
    tune: int | None = None,
    reject: float | None = None,
    reject_by: Statistic | None = None,
    mapping: MappingLike | None = None,
    seed: int = 0,
    device: str = AUTO,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> Brick:
    """Cut the task-aware component for some classes out of a classifier, and repair the cut in closed form.

    Args:
        model: a brick (whole or cut before), or any `nn.Module` that can be captured, with `preprocess`.
        data: labelled images in [0,1], or what names them; train serves to choose, test only to score.
        classes: `"0-2,7"`, `"cat,dog"`, or a list of names and indices of the model's classes.
        budget: what the brick may cost, or how much accuracy it may lose; without one the thresholds decide.
        criterion: what ranks channels under a budget, by name (`modellego.locate.names()`); by default
            the best one known, `reconstruction`.
        preprocess: what an image goes through before the model, where it is not a brick; without mean and std the usual
            ones are tried on a few train images, and a clear difference is a warning.
        class_names: the model's classes, where it is not a brick; by default those of the data where they have as many
            as the model has logits, else 0, 1, ...
        name: what the lineage calls the source.
        thresholds: alpha and beta for convolutions and linear layers, and the rule; by default the paper's.
        samples: from which images contributions are taken.
        refit_images: images per class for the refit; 0 leaves the cut as it is.
        refit_data: images to refit on instead, float `[N, c, h, w]` in [0,1] or a store of any sizes; without labels.
        refit_options: see `RefitOptions`.
        refit_by: how the cut is repaired: `least_squares`, or a refit that a plugin registers.
        tune: gradient steps, such as 600, that bring the refitted brick's logits to the source's on the images of the
            refit, without labels; kept only if images held out agree better with the source (see `tuning.tune`). It
            takes some minutes; `progress` is told how many.
        reject: the share of images of the task that the brick still answers, such as 0.95; of the rest it says "none of
            these". The threshold is taken from images of the train part that the refit does not see.
        reject_by: the statistic: `energy` (the default), `max_logit`, `max_probability` or `margin`.
        mapping: data class name -> class name or index of the model, where names do not meet by themselves.
        seed: of the choice of refit images, and of those that are looked at where `samples` limits them.
        device: where the passes run: `cpu`, `cuda`, `cuda:1`, `mps`; `auto` is where the model is. The model is moved
            there for the work and back again, and the brick is where the model was.
        checkpoint: a file to write from time to time, and to remove at the end: classes whose contributions are in, the
            choice of channels, layers that are refitted.
        resume: go on from that file; the brick is byte for byte that of a run that was not interrupted.
        progress: follows the long parts.

    Raises:
        CaptureError: the model cannot be captured.
        DataError: unknown classes, a class without images, images that do not fit.
        CutError: nothing can be cut, or not as asked.
        LegoError: the device is not here.
        FormatError: the checkpoint is missing, broken, of another run, or cannot be written.

    Source: "Model LEGO", NeurIPS 2024, sections on contribution, relative contribution and parameter linking.

    >>> from modellego.data import load_data
    >>> digits = load_data("digits")
    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    >>> brick = disassemble(net, digits, "0-2", preprocess=Preprocess(1, 8, 8), class_names=digits.classes)
    >>> brick.classes
    ('0', '1', '2')
    """
    options = CutOptions(
        budget,
        criterion,
        thresholds or Thresholds(),
        samples or Samples(),
        refit_images,
        refit_data,
        refit_options,
        refit_by,
        tune,
        reject,
        reject_by,
        seed,
        device,
    )
    whole, images = opened(model, data, preprocess, class_names, name, mapping)
    kept = None
    if checkpoint is not None and processes() > 1:
        raise FormatError("a checkpoint is of one process: leave it out where there are several")
    if checkpoint is not None:
        kept = Checkpoint(Path(checkpoint), identify(whole, images, classes, mapping, options), resume)
    elif resume:
        raise FormatError("to resume, name the checkpoint")
    brick = make_brick(prepare(whole, images, classes, mapping), options, progress, checkpoint=kept)
    if kept is not None:
        kept.file.unlink(missing_ok=True)
    return brick


def opened(
    model: nn.Module | Brick,
    data: DataLike,
    preprocess: Preprocess | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "model",
    mapping: MappingLike | None = None,
) -> tuple[Brick, Data]:
    """Return a model as a whole brick, named and normalised as the data tell where nothing else does, and the data."""
    images = load_data(data).cached()  # what the normalisation is tried on is looked at again
    whole = as_brick(model, preprocess, class_names, name)
    if whole is not model and class_names is None:
        name_classes(whole, images.classes)
    if whole is not model and preprocess is not None and not preprocess.normalises:
        images = Data(images.train.cached(), images.test)  # what is decoded here is not decoded again
        tried = tried_on(whole, images.train, mapping)
        note_normalisation(whole, tried)
        if tried is not None and tried.clear:
            warnings.warn(tried.sentence, stacklevel=3)
    return whole, images


def make_brick(
    job: Job,
    options: CutOptions,
    progress: Progress = silent,
    sums: Iterable[tuple[int, ClassSums]] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Brick:
    """Choose, cut, repair and score: from a job to its brick, on the options' device.

    `sums` are the task's summed contributions, where they are at hand and the thresholds decide. `checkpoint` says what
    was worked out before, and keeps what is.
    """
    home = home_of(job.whole)
    with moved(options.device, job.whole, job.network.graph):
        brick = _make(job, options, progress, sums, checkpoint)
        if options.device != AUTO:
            place(brick, home)
    return brick


def _make(
    job: Job,
    options: CutOptions,
    progress: Progress,
    sums: Iterable[tuple[int, ClassSums]] | None,
    checkpoint: Checkpoint | None,
) -> Brick:
    samples, seed = options.samples, options.seed
    refit_images, criterion = options.refit_images, options.ranks_by
    given = None if options.refit_data is None else as_store(options.refit_data)
    own_inputs = None if given is None else network_input(job.whole, given)
    drawn = draw_calibration(job.whole, job.data.train, job.task, refit_images or REFIT_IMAGES, seed)
    check_tuning(options.tune, refit_images > 0 or own_inputs is not None, drawn)
    told: dict[str, Any] = {"samples": samples.record(), "thresholds": asdict(options.thresholds)}
    if options.limit is not None:
        told = {"budget": asdict(options.limit), "samples": samples.record()}
        if ALIASES.get(criterion, criterion) == "reconstruction":
            told["sensitivity_images"] = probed_of(len(drawn.fitted))
    choice = None if checkpoint is None else checkpoint.choice()
    if choice is None:
        choice = _choose(job, options, drawn, progress, sums, checkpoint)
        if checkpoint is not None:
            checkpoint.keep_choice(choice)
    inputs = drawn.inputs if refit_images and own_inputs is None else own_inputs
    how = options.refit_options, progress, options.refit_by, checkpoint
    brick = cut_out(job, choice, criterion, told | {"seed": seed}, inputs, *how)
    repair = asdict(options.refit_options or RefitOptions()) if options.refit_by == LEAST_SQUARES else {}
    asked = {"refit_images": refit_images, "refit": repair, "reject": options.reject, "tune": options.tune}
    asked["device"] = home_of(job.whole).type
    brick.info = brick.info.changed(made=made_here(seed, content_digest(drawn.fitted), asked))
    if choice.near_ties:
        brick.info = brick.info.changed(notes=f"{brick.info.notes} {_near(choice.near_ties)}".strip())
    scarce = scarce_classes(job, drawn) if inputs is not None and own_inputs is None else ""
    if scarce:
        brick.info = brick.info.changed(notes=f"{brick.info.notes} {scarce}".strip())
    if options.tune is not None:
        brick = tuned(brick, job, drawn.fitted if given is None else given, drawn, options.tune, seed, progress)
    if options.reject is not None:
        own = (drawn.held if len(drawn.held) else drawn.fitted).select(job.task)
        add_reject_rule(brick, own, options.reject, options.reject_by, seed=seed, progress=progress)
    return with_accuracy(brick, job.whole, job.task, job.data.test, progress)


def _choose(
    job: Job,
    options: CutOptions,
    drawn: DrawnImages,
    progress: Progress,
    sums: Iterable[tuple[int, ClassSums]] | None,
    checkpoint: Checkpoint | None,
) -> Choice:
    """Choose what is kept, by a budget where there is one, else by the thresholds."""
    samples, seed = options.samples, options.seed
    if options.limit is not None:
        curve = make_curve(job, drawn, options.ranks_by, options.thresholds, samples, seed, progress)
        with progress("budget", "steps"):
            return by_budget(job, options.limit, curve, drawn, options.refit_options)
    if sums is not None:
        return by_sums(plan_flow(job.network, job.channels), job.channels, sums, options.thresholds)
    found, each = (None, None) if checkpoint is None else (checkpoint.found(), checkpoint.keep_found)
    batches = sample_batches(job, samples, progress, seed)
    return by_thresholds(job.network, job.channels, batches, options.thresholds, progress, found, each)


def _near(count: int) -> str:
    return (
        f"Channel groups kept or cut by less than rounding: {count}. Other numbers of threads or processes, or "
        "another device, may decide them otherwise."
    )


def scarce_classes(job: Job, drawn: DrawnImages) -> str:
    """Say which classes of the task have too few images for a sound refit; empty where none has."""
    counts = drawn.fitted.counts
    few = [f"{job.whole.classes[k]} {counts[k]}" for k in job.task if counts[k] < SOUND]
    if not few:
        return ""
    return f"Too few images for a sound refit: each class needs {SOUND} or more, and there are {', '.join(few)}."


def make_curve(
    job: Job,
    drawn: DrawnImages,
    criterion: str,
    thresholds: Thresholds,
    samples: Samples,
    seed: int,
    progress: Progress = silent,
) -> Curve:
    """Rank the job's channel groups by a criterion: contribution on sample images, others on drawn ones."""
    if criterion == "contribution":
        chosen = sampled(job.whole, job.data.train, job.task, samples, seed, progress)
        part = job.data.train.subset(np.concatenate([rows for _, rows in chosen]))
        inputs = network_input(job.whole, part)
        labels = torch.from_numpy(part.labels)
    else:
        inputs, labels = drawn.inputs, drawn.labels
    with progress("rank", "passes"):
        return rank_groups(job, criterion, inputs, labels, thresholds, seed=seed)


def cut_out(
    job: Job,
    choice: Choice,
    criterion: str,
    options: dict[str, Any],
    inputs: NetworkInput | None = None,
    refit_options: RefitOptions | None = None,
    progress: Progress = silent,
    method: str = LEAST_SQUARES,
    checkpoint: Checkpoint | None = None,
) -> Brick:
    """Cut what a choice keeps, repair it where there is network input to repair on, and say where it comes from."""
    plan = job.plan(choice.keep)
    small = cut(plan)
    _log.info("kept %d of %d channel groups by %s", *plan.counts, criterion)
    report = None
    if inputs is not None:
        with progress("refit", "layers") as update:
            if method == LEAST_SQUARES:
                fitted, each = (None, None) if checkpoint is None else (checkpoint.fitted(), checkpoint.keep_fitted)
                report = refit(plan, small, inputs, options=refit_options, update=update, fitted=fitted, each=each)
            else:
                report = repair_by(method, plan, small, inputs)
    return describe(job.whole, plan, small, job.cost, criterion, options, choice.rescued, report)

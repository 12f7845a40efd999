"""Saying "none of these": reject rules of bricks of published ResNet-20s, their thresholds from train images."""

import argparse
from typing import Any, get_args

import numpy as np
import torch

from experiments.frame.markdown import table
from experiments.frame.registry import ASSEMBLING, Document, Experiment
from experiments.frame.run import Run
from experiments.study.bricks import uncut
from experiments.study.sources import Sources
from modellego.assembly import assemble
from modellego.assembly.samples import PER_CLASS, other_samples
from modellego.brick import Assembled, Brick, confidence
from modellego.brick.reject_rule import Statistic
from modellego.data import Data, ImageSet, merged, resolve_classes
from modellego.data.views import altered_views
from modellego.disassembly.choose import draw_images
from modellego.disassembly.options import REFIT_IMAGES
from modellego.disassembly.verb import disassemble
from modellego.evaluation import auroc, logits_of, off_task_images
from modellego.locate import Budget
from modellego.rejection.rule import HELD, KEEP
from modellego.rejection.threshold import choose_threshold

CRITERION = "contribution"  # what ranked the channels of the bricks
STATISTICS = ("energy", "max_logit", "max_probability", "margin")
VIEWS = (0, 1, 3)  # altered views of each held-out image that the threshold is taken from as well


def some(images: ImageSet, count: int, seed: int) -> ImageSet:
    """Draw some images, in their order."""
    return images.subset(np.sort(np.random.default_rng(seed).permutation(len(images))[:count]))


@torch.no_grad()
def views_of(model: Brick | Assembled, images: ImageSet, count: int, seed: int) -> list[torch.Tensor]:
    """Return the logits of images as they are, and of each of their altered views."""
    found: list[list[torch.Tensor]] = [[] for _ in range(count + 1)]
    for number, (batch, _) in enumerate(images.batches(100)):
        for view, shown in enumerate((batch, *altered_views(batch, count=count, seed=seed + number))):
            found[view].append(model(shown))
    return [torch.cat(view) for view in found]


def measured(model: Brick | Assembled, data: Data, taken: int, images: int, seed: int) -> dict[str, Any]:
    """Score every statistic's rule, its threshold from train images alone, on test images on and off the task."""
    assert data.test is not None
    held = other_samples(data.train, model.vocabulary, HELD, taken, seed)
    on = some(data.test.for_model(model.classes), images, seed)
    away = some(off_task_images(model, data.test), images, seed)
    on_logits, off_logits, seen = logits_of(model, on), logits_of(model, away), views_of(model, held, VIEWS[-1], seed)
    right = on_logits.argmax(1) == torch.from_numpy(on.labels)
    found: dict[str, Any] = {"classes": len(model.classes), "on_images": len(on), "off_images": len(away)}
    found |= {"held_images": len(held), "accuracy": float(right.double().mean())}
    for statistic in get_args(Statistic):
        sides = [confidence(x.double(), statistic) for x in (on_logits, off_logits)]
        row: dict[str, Any] = {"auroc": auroc(*(s.numpy() for s in sides))}
        for views in VIEWS:
            known = torch.cat([confidence(x.double(), statistic) for x in seen[: views + 1]])
            threshold = choose_threshold(known, KEEP, torch.from_numpy(held.labels).repeat(views + 1))
            kept, away_kept = (s >= threshold for s in sides)
            row[f"views {views}"] = {
                "answered_on": float(kept.double().mean()),
                "rejected_off": float((~away_kept).double().mean()),
                "accuracy": float((right & kept).double().mean()),
                "accuracy_answered": float(right[kept].double().mean()),
            }
        found[statistic] = row
    return found


def brick_row(sources: Sources, task: str, images: int, seed: int) -> dict[str, Any]:
    """Measure the rules of one task's brick."""
    data, source = sources.data("cifar10"), sources.published("cifar10_resnet20")
    chosen = [data.train.of_class(k)[:500] for k in resolve_classes(task, data.classes)]
    train = data.train.subset(np.concatenate(chosen))
    made = disassemble(source, train, task, budget=Budget(macs=0.75), criterion=CRITERION, seed=seed)
    unseen = draw_images(train, resolve_classes(task, data.classes), REFIT_IMAGES, seed)[1]
    return measured(made, Data(unseen, data.test), 0, images, seed)


def joined_row(sources: Sources, images: int, seed: int) -> dict[str, Any]:
    """Measure the rules of two uncut bricks with a calibrated head."""
    sets = [sources.data(name) for name in ("cifar10", "cifar100")]
    tests = [s.test for s in sets if s.test is not None]
    data = Data(merged([s.train for s in sets]), merged(tests))
    tasks = {"cifar10": "0-2", "cifar100": "0-19"}
    pieces = [uncut(sources.published(f"{dataset}_resnet20"), task) for dataset, task in tasks.items()]
    made = assemble(pieces, calibrate="head", data=data, seed=seed)
    return measured(made, data, PER_CLASS, images, seed)


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the number of test images."""
    parser.add_argument("--images", type=int, default=1000, help="test images a side of each row")


def run(run: Run) -> None:
    """Measure two bricks, and two bricks assembled."""
    given = run.own["images"], run.seed
    run.row("CIFAR-10 0-2, three quarters of the MACs", lambda: brick_row(run.sources, "0-2", *given))
    run.row("CIFAR-10 3, three quarters of the MACs", lambda: brick_row(run.sources, "3", *given))
    run.row("CIFAR-10 0-2 + CIFAR-100 0-19, uncut, calibrated head", lambda: joined_row(run.sources, *given))


def percent(value: float) -> str:
    """Write a fraction as per cent.

    >>> percent(0.926)
    '92.6'
    """
    return f"{100 * value:.1f}"


def section(document: Document) -> str:
    """Return the section: every statistic's rule, off the task and on it."""
    keep = document["settings"]["keep"]
    rows = []
    for title, row in document["rows"].items():
        for statistic in STATISTICS:
            told, rule = row[statistic], row[statistic]["views 3"]
            figures = (rule["answered_on"], rule["rejected_off"], row["accuracy"], rule["accuracy"])
            answered = [told[f"views {v}"]["answered_on"] for v in (0, 1)]
            cells = [f"{told['auroc']:.3f}", *map(percent, figures), percent(rule["accuracy_answered"])]
            rows.append([f"{title}: {statistic}", *cells, *map(percent, answered)])
    header = ["model: statistic", "AUROC", "own answered", "others turned away", "accuracy without rule", "with"]
    header += ["of those answered", "own answered, no views", "1 view"]
    held, images = document["settings"]["held"], document["settings"]["images"]
    text = (
        f"Channels of the bricks are ranked by *{CRITERION}*. The threshold is taken from {held} train images per "
        f"class that neither refit nor head saw, and three altered views of each, so that {percent(keep)} % of them "
        f"pass; no image of another class is used. Test images score it: up to {images:,} of the model's own "
        "classes, and as many of others (CIFAR-10's other classes; for an assembled model CIFAR-100's too). *With*: "
        "what is both answered and right. The sources were trained on the calibration images, so they are surer of "
        "these than of new ones: the last two columns show the share answered where the threshold is taken from the "
        "images alone, and from one view of each. Energy and three views became the defaults in the light of such "
        "rows, so that these flatter them a little; all are shown."
    )
    return "\n\n".join([text, table(header, rows)])


EXPERIMENT = Experiment(
    title='"None of these"',
    run=run,
    section=section,
    measures=(*ASSEMBLING, "rejection"),
    options=options,
    settings=lambda run: {"images": run.own["images"], "seed": run.seed, "keep": KEEP, "held": HELD},
)

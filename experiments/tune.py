"""Tuning without labels: bricks at half the MACs, refitted, and then tuned for some minutes of gradient steps.

A tier of its own: "no labels, a few minutes of gradient". Calibration images as in the experiment *accuracy*: 200 per
class of CIFAR-10, 50 of CIFAR-100, drawn from the train shards by the seed, and 50 others per class to hold out. Test
images are read once a row, for the scores alone. `--seeds 0 1 2` and `--tasks` say how much of the table is made.
"""

import argparse
import time
from functools import partial
from statistics import mean
from typing import Any

from experiments.accuracy import CRITERION, PER_CLASS
from experiments.frame.markdown import percent, table
from experiments.frame.registry import CUTTING, Document, Experiment
from experiments.frame.run import Run
from experiments.published import TASKS
from modellego.data import resolve_classes
from modellego.data.feed import framed
from modellego.disassembly.choose import draw_images
from modellego.disassembly.verb import disassemble
from modellego.evaluation import logits_of_each, restricted, score
from modellego.locate import Budget
from modellego.tuning import tune

STEPS = 600
# what the project set out to reach, per cent, three seeds' means
WANTED = {"cifar10 0-2": 97.5, "cifar10 3-9": 91.0, "cifar100 0-19": 81.5, "cifar100 20-69": 73.0}


def measured(run: Run, name: str, steps: int, seed: int) -> dict[str, Any]:
    """Cut and refit a brick, tune it, and score source, brick and tuned brick on test images."""
    dataset, classes = name.split()
    whole, data = run.sources.published(f"{dataset}_resnet20"), run.sources.data(dataset)
    known = data.for_model(whole.classes)
    assert known.test is not None
    task = resolve_classes(classes, whole.classes)
    options: dict[str, Any] = {"budget": Budget(macs=0.5), "criterion": CRITERION, "seed": seed}
    brick = disassemble(whole, known.train, classes, refit_images=PER_CLASS[dataset], progress=run.progress, **options)
    drawn = draw_images(known.train, task, PER_CLASS[dataset], seed)
    images, held = (framed(part, brick.frames)[brick.frame] for part in drawn)
    spent, wall = time.process_time(), time.perf_counter()
    tuned, report = tune(brick, whole, task, images, held, steps, seed=seed, progress=run.progress)
    spent, wall = time.process_time() - spent, time.perf_counter() - wall
    own = known.test.select(task)
    logits = logits_of_each([whole, brick, tuned], own)
    scores = [score(found, own.labels).accuracy for found in logits[1:]]
    base, inside = restricted(logits[0], list(task), own.labels)
    found = {"base": base, "restricted": inside, "refit": scores[0], "tuned": scores[1], "test_images": len(own)}
    return found | {"tune_cpu_s": round(spent, 1), "tune_wall_s": round(wall, 1), "report": report.as_json()}


def options(parser: argparse.ArgumentParser) -> None:
    """Declare seeds, tasks and steps."""
    names = [f"{d} {c}" for d, c in TASKS]
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of calibration images and steps")
    parser.add_argument("--tasks", nargs="+", choices=names, default=names, help="which of the tasks")
    parser.add_argument("--steps", type=int, default=STEPS, help="gradient steps")


def settings(run: Run) -> dict[str, Any]:
    """Return what figures depend on: rows of more seeds and tasks may join those that are there."""
    return {"steps": run.own["steps"], "limit": run.limit}


def run(run: Run) -> None:
    """Measure the tasks, a row a task and seed."""
    for seed in run.own["seeds"]:
        for task in run.own["tasks"]:
            work = partial(measured, run, task, run.own["steps"], seed)
            run.row(f"{task} seed {seed}", work)


def section(document: Document) -> str:
    """Return the section: what tuning is, and the table."""
    rows = document["rows"]
    lines = []
    for task, wanted in WANTED.items():
        own = [row for key, row in rows.items() if key.startswith(f"{task} seed")]
        if not own:
            continue
        means = [percent(mean(row[k] for row in own)) for k in ("restricted", "refit", "tuned")]
        change = 100 * (mean(row["tuned"] for row in own) - mean(row["refit"] for row in own))
        kept = ", ".join(
            f"{r['kept_steps']} at {r['lr']:g} ({r['norms']})" if r["kept_steps"] else "none"
            for r in (row["report"] for row in own)
        )
        minutes = mean(row["tune_cpu_s"] for row in own) / 60
        lines.append([task, len(own), *means, f"{change:+.2f}", f"{wanted:.1f}", kept, f"{minutes:.1f}"])
    header = [
        "task",
        "seeds",
        "restricted",
        "refit (no training)",
        "tuned",
        "change",
        "wanted",
        "steps kept",
        "CPU min",
    ]
    said = (
        f"**No labels, a few minutes of gradient**: a tier of its own, not to be mixed with *no training*. Bricks of "
        f"published ResNet-20s at half the MACs are refitted, then tuned (`--tune {document['settings']['steps']}`): "
        "centred logits are matched to the source's on mirrored and shifted calibration images. Three runs share the "
        "steps, a bold rate with batch norms in training mode or frozen and a gentle one; images held out and altered "
        "views of them say which weights are kept, and those of the refit stay where none are "
        "surely closer to the source. Means over the calibration seeds named; *wanted*: what the project set out to "
        "reach over three."
    )
    return "\n\n".join([said, table(header, lines)])


EXPERIMENT = Experiment(
    title="Tuning without labels",
    run=run,
    section=section,
    measures=(*CUTTING, "training", "tuning"),
    options=options,
    settings=settings,
)

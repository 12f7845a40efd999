"""Disassembly: the paper's table of tasks, base and brick, with base restricted and the repaired brick beside it."""

from functools import partial
from typing import Any

from experiments.frame.markdown import millions, percent, share, table
from experiments.frame.page import reproduction
from experiments.frame.registry import CUTTING, Experiment
from experiments.frame.run import Run, source_options
from experiments.study.paper_figures import DISASSEMBLED, NETWORKS, TASKS, Task
from experiments.study.subject import Subject
from modellego.contribution.relevance import Thresholds

Row = dict[str, Any]
HOW = {"poster": "poster", "back_to_front": "back to front", "refit": "poster, refit"}


def run(run: Run) -> None:
    """Take every task apart at the paper's thresholds; a row per task."""
    for dataset in dict.fromkeys(task.dataset for task in TASKS):
        run.row(f"source {dataset}", partial(_source, run, dataset))
    for task in TASKS:
        run.row(task.key, partial(_taken_apart, run, task))


def _source(run: Run, dataset: str) -> Row:
    subject = run.subject(dataset)
    return {"name": subject.whole.info.sources[0].name, **subject.base(range(len(subject.whole.classes)))}


def _taken_apart(run: Run, task: Task) -> Row:
    subject: Subject = run.subject(task.dataset)
    apart = subject.apart(task.classes)
    bricks = {
        "poster": apart.brick(),
        "back_to_front": apart.brick(Thresholds(rule="back_to_front")),
        "refit": apart.brick(refit=True),
    }
    return {**subject.base(apart.task), **{how: subject.score(b, apart.task) for how, b in bricks.items()}}


def tables(rows: dict[str, Row]) -> str:
    """Return the sources, our table of tasks, and the paper's."""
    sources = [
        [r["name"], percent(r["base"]), r["images"], millions(r["macs_base"]), millions(r["parameters_base"])]
        for key, r in rows.items()
        if key.startswith("source ")
    ]
    lines, costs = [], []
    for task in TASKS:
        row = rows.get(task.key)
        if row is None:
            continue
        bricks = [row[how] for how in HOW]
        lines.append(
            [task.key, percent(row["base"]), percent(row["restricted"]), *(percent(b["accuracy"]) for b in bricks)]
        )
        costs.append([task.key, *(_cost(b, row) for b in bricks[:2])])
    paper = [
        [task.key, *(f"{base:.2f} → {brick:.2f}" for base, brick in DISASSEMBLED[task.key])]
        for task in TASKS
        if task.key in rows
    ]
    parts = [
        table(["source", "accuracy, all classes", "test images", "MACs", "parameters"], sources),
        table(["task", "base", "restricted", *HOW.values()], lines),
        "Share of MACs; of parameters; of channel groups kept (a refit changes none of them):",
        table(["task", "poster", "back to front"], costs),
        "The paper's base → disassembled:",
        table(["task", *NETWORKS], paper),
        "A task of one class is right by construction: one logit is left.",
    ]
    return "\n\n".join(parts)


def _cost(brick: Row, row: Row) -> str:
    shares = [share(brick[k], row[f"{k}_base"]) for k in ("macs", "parameters")]
    return "; ".join([*shares, share(brick["kept_groups"], brick["groups"])])


SHOWS = (
    "cuts tasks out of VGG-16, ResNet-50 and GoogLeNet; *base* is the source with all its logits, the component "
    "has the task's alone."
)
DIFFERS = (
    "the source is a published ResNet-20 unless `--network` names one that `train-source` has made; "
    "samples are the most confident 50 (CIFAR-10) and 5 (CIFAR-100) per class among the training images at hand, "
    "which are half of the published ones; *restricted* is the uncut source with the task's logits alone, which is "
    "what a brick must be held against; *refit* is our repair in closed form, on up to 2,000 training images."
)

EXPERIMENT = Experiment(
    title="Disassembly: tasks cut out of CIFAR classifiers",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=CUTTING,
    options=source_options,
)

"""The paper's table of disassembly on its own networks: its cuts alone and with refit, and ours at equal MACs."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

from experiments.frame.markdown import percent, table
from experiments.frame.page import reproduction
from experiments.frame.registry import CUTTING, Experiment
from experiments.frame.run import Run
from experiments.study.cutting import Cutter, Method
from experiments.study.paper_figures import DISASSEMBLED, NETWORKS, TASKS, ZOO, Task
from experiments.study.subject import REFIT_IMAGES, Subject
from experiments.study.training import find_trained
from modellego.contribution.relevance import Thresholds
from modellego.errors import LegoError

Row = dict[str, Any]
CHOSEN = ("vgg16_bn", "resnet50", "googlenet")
RULES = {"poster": "poster", "back_to_front": "back to front"}
OURS = Method("reconstruction")


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the sources, and what makes a run quicker."""
    parser.add_argument("--networks", nargs="+", default=list(CHOSEN), help="sources of train-source; longer names too")
    parser.add_argument("--candidates", type=int, help="choose samples among this many times as many images, not all")
    parser.add_argument("--scored", type=int, help="test images of a set that are scored; else all")


def run(run: Run) -> None:
    """Work out the rows of all sources that are there; the others are told."""
    for name in run.own["networks"]:
        for dataset in dict.fromkeys(task.dataset for task in TASKS):
            try:
                found = find_trained(run.trained, dataset, name)
            except LegoError as missing:
                run.record.say(str(missing))
                continue
            source = replace(run, network=found.stem.removeprefix(f"{dataset}-"))
            begin = cache(partial(source.subject, dataset))
            for task in (t for t in TASKS if t.dataset == dataset):
                run.row(f"{name} {task.key}", partial(_row, begin, task, run.seed))


def _row(begin: Callable[[], Subject], task: Task, seed: int) -> Row:
    """Return base, the paper's cut by both rules, alone and with refit, and ours at the MACs of each."""
    subject = begin()
    apart = subject.apart(task.classes)
    row: Row = {"source": subject.name, **subject.base(apart.task)}
    each = min(200, max(1, REFIT_IMAGES // len(apart.task)))
    ours = Cutter(subject.whole, subject.data, task.classes, each, seed, subject.most_confident, subject.progress)
    for rule in RULES:
        thresholds = Thresholds(rule=rule)  # type: ignore[arg-type]
        for refit in (False, True):
            key = f"{rule} refit" if refit else rule
            row[key] = subject.score(apart.brick(thresholds, refit=refit), apart.task)
        share = row[rule]["macs"] / row["macs_base"]
        row[f"ours {rule}"] = subject.score(ours.cut(OURS, share, refit=True), apart.task)
    return row


def tables(rows: dict[str, Row]) -> str:
    """Return a table per network, the paper's figures in the same row."""
    parts = []
    for name in dict.fromkeys([*CHOSEN, *(key.split()[0] for key in rows)]):
        place = NETWORKS.index(ZOO[name.split("-", maxsplit=1)[0]]) if name.split("-")[0] in ZOO else None
        lines: list[list[object]] = []
        for task in TASKS:
            row = rows.get(f"{name} {task.key}")
            paper = "–" if place is None else " → ".join(f"{v:.2f}" for v in DISASSEMBLED[task.key][place])
            lines.append([task.key, *(_cells(row) if row else ["no source here", *["–"] * 7]), paper])
        lines.append(["tiny-imagenet", "no data here", *["–"] * 8])
        rules = [word for rule in RULES.values() for word in (f"{rule}: cut / refit", "MACs; parameters", "ours")]
        parts += [f"**{name}**", table(["task", "base", "restricted", *rules, "the paper's"], lines)]
    return "\n\n".join(parts)


def _cells(row: Row) -> list[str]:
    cells = [percent(row["base"]), percent(row["restricted"])]
    for rule in RULES:
        cut, refit, ours = row[rule], row[f"{rule} refit"], row[f"ours {rule}"]
        kept = "; ".join(f"{100 * cut[k] / row[f'{k}_base']:.1f} %" for k in ("macs", "parameters"))
        cells += [f"{percent(cut['accuracy'])} / {percent(refit['accuracy'])}", kept, percent(ours["accuracy"])]
    return cells


SHOWS = (
    "cuts tasks out of VGG-16, ResNet-50 and GoogLeNet trained on CIFAR-10, CIFAR-100 and Tiny-ImageNet, at alpha and "
    "beta of its own; base → disassembled."
)
DIFFERS = (
    "the sources are those of `train-source` (VGG-16 with batch norm); *restricted* is the uncut source with the "
    "task's logits alone, which is what a brick must be held against; *cut* is the paper's, *refit* the same cut "
    "repaired in closed form on up to 2,000 training images; *ours* is a brick at no more than the same MACs, ranked "
    f"by *{OURS.criterion}*, with refit. A task of one class is right by construction: one logit is left."
)

EXPERIMENT = Experiment(
    title="The paper's table of disassembly",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=CUTTING,
    options=options,
    settings=lambda run: {k: getattr(run, k) for k in ("seed", "limit", "candidates", "scored")},
)

"""All criteria at equal MACs and with the same refit, on two tasks of published ResNet-20s, as one JSON file.

`--seeds 0 1 2` takes more calibration seeds. Calibration images come from the train shard (200 per class for CIFAR-10,
50 for CIFAR-100), the test part is read once per row. Every criterion ranks by its score per MAC saved.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from experiments.frame.markdown import table
from experiments.frame.registry import CUTTING, Document, Experiment
from experiments.frame.run import Run
from experiments.study.cutting import Cutter, Method
from experiments.study.subject import Subject
from modellego.locate import names

TASKS = (("cifar10", "0-2", 200), ("cifar100", "0-19", 50))
SHARES = (0.75, 0.5)
COLUMNS = {"cut_accuracy": "cut alone", "refit_accuracy": "with refit"}
Row = dict[str, Any]


def measured(cutter: Cutter, criterion: str, share: float, seed: int) -> dict[str, Any]:
    """Cut by one criterion, score it; the same again with a refit."""
    method = Method(criterion, "macs", seed if criterion == "random" else 0)
    alone = cutter.row(cutter.cut(method, share))
    repaired = cutter.row(cutter.cut(method, share, refit=True))
    return {"macs": alone["macs"], "parameters": alone["parameters"], "cut_accuracy": alone["accuracy"]} | {
        "refit_accuracy": repaired["accuracy"]
    }


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the calibration seeds."""
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of calibration images, and of `random`")


def run(run: Run) -> None:
    """Cut both tasks by every criterion, a row per seed, criterion and budget."""
    for seed in run.own["seeds"]:
        for dataset, classes, per_class in TASKS:
            subject = partial(run.subject, dataset)
            cutter = cache(partial(_cutter, subject, classes, per_class, seed))
            task = f"{dataset} {classes}"
            run.row(f"{task} base", lambda cutter=cutter: cutter().base())  # type: ignore[misc]
            for criterion in names():
                for share in SHARES:
                    key = f"{task} {criterion} {share:g} seed {seed}"
                    run.row(key, lambda c=criterion, s=share, cutter=cutter, n=seed: measured(cutter(), c, s, n))  # type: ignore[misc]


def _cutter(subject: Callable[[], Subject], classes: str, per_class: int, seed: int) -> Cutter:
    return Cutter(subject().whole, subject().data, classes, per_class, seed)


def section(document: Document) -> str:
    """Return the section: what is compared, the tables, and what wins."""
    rows = document["rows"]
    cells = gather(rows)
    parts = [
        "Published ResNet-20s cut to at most the MACs named, along one ranking of all groups; every criterion's "
        "score is divided by the MACs that go with a channel group, and the refit is the same for all. Before that, "
        "*l1*, *fpgm*, *hrank* and *activation* are divided by their mean over the layer (and averaged over the layers "
        "that a group ties together), as pruning libraries do to compare layers; *taylor* and *contribution* "
        "compare as they are; "
        "*reconstruction* is the loss that is left after a refit. Divided by MACs, scores that hardly differ within a "
        "layer send the channels of the largest maps away first; the experiment *compression* ranks "
        "without that division, and so do `modellego disassemble` and `curve` for *contribution*: with this table in "
        "sight it became their default (at 50 %: 96.27 instead of 80.47, and 74.75 instead of 23.60). "
        "*Contribution* sees the 50 most confident training images per "
        "class, the others the calibration images. Formulas: tests/locate/test_formulas.py; torch-pruning's own "
        "scores, where it has them: tests/locate/test_peers.py. Mean over the calibration seeds, ± half their range; "
        "one budget cannot always be met exactly, so the MACs reached stand beside it."
    ]
    for task in dict.fromkeys(task for task, *_ in cells):
        base = rows[f"{task} base"]
        parts.append(
            f"**{task}**: base {100 * base['base']:.2f}, restricted {100 * base['restricted']:.2f} "
            f"({base['images']} test images)."
        )
        shares = list(dict.fromkeys(share for t, share, _ in cells if t == task))
        header = ["criterion"]
        for share in shares:
            header += [f"MACs, % (of {100 * float(share):g})", *COLUMNS.values()]
        lines = []
        for criterion in dict.fromkeys(c for t, _, c in cells if t == task):
            line = [criterion]
            for share in shares:
                own = cells.get((task, share, criterion), [])
                line += [f"{100 * mean([r['macs'] for r in own]):.1f}" if own else "–"]
                line += [shown([r[column] for r in own]) for column in COLUMNS]
            lines.append(line)
        parts.append(table(header, lines))
    return "\n\n".join([*parts, verdict(cells)])


def gather(rows: dict[str, Row]) -> dict[tuple[str, str, str], list[Row]]:
    """Return the rows of all seeds by task, budget and criterion."""
    cells: dict[tuple[str, str, str], list[Row]] = {}
    for key, row in rows.items():
        if not key.endswith(" base"):
            dataset, classes, criterion, share, _, _ = key.split()
            cells.setdefault((f"{dataset} {classes}", share, criterion), []).append(row)
    return cells


def verdict(cells: dict[tuple[str, str, str], list[Row]]) -> str:
    """Say which criterion is best and where contribution stands, for every task and budget."""
    said = []
    for task, share in dict.fromkeys((t, s) for t, s, _ in cells):
        for column, words in COLUMNS.items():
            values = {c: mean([r[column] for r in own]) for (t, s, c), own in cells.items() if (t, s) == (task, share)}
            if len(values) < 2:
                continue
            order = sorted(values, key=values.__getitem__, reverse=True)
            text = (
                f"- {task} at {100 * float(share):g} %, {words}: **{order[0]}** ({100 * values[order[0]]:.2f}), then "
            )
            text += f"{order[1]} ({100 * values[order[1]]:.2f})"
            if "contribution" in order[2:]:
                place = order.index("contribution") + 1
                text += f"; contribution is number {place} of {len(order)} ({100 * values['contribution']:.2f})"
            if "random" in order[2:]:
                text += f"; random {100 * values['random']:.2f}"
            said.append(text + ".")
    return "\n".join(["What wins:", "", *said]) if said else ""


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def shown(values: Sequence[float]) -> str:
    """Write accuracies as their mean, with half their range where there are several.

    >>> shown([0.5]), shown([0.5, 0.6]), shown([])
    ('50.00', '55.00 ± 5.00', '–')
    """
    if not values:
        return "–"
    spread = f" ± {50 * (max(values) - min(values)):.2f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.2f}{spread}"


EXPERIMENT = Experiment(
    title="Criteria at equal MACs",
    run=run,
    section=section,
    measures=CUTTING,
    options=options,
    settings=lambda run: {"network": "resnet20", "limit": run.limit},
)

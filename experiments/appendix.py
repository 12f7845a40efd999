"""The appendix sets: LeNet-5 on MNIST and Fashion-MNIST, disassembled, and assembled across the two sets."""

import argparse
from functools import cache, partial
from pathlib import Path
from typing import Any

from experiments.frame.markdown import millions, percent, share, table
from experiments.frame.page import reproduction
from experiments.frame.registry import ASSEMBLING, Experiment
from experiments.frame.run import Run
from experiments.heatmaps import draw, heat_row
from experiments.study.pairs import OPTIONS, Pair
from experiments.study.paper_figures import Task
from experiments.study.training import Recipe, short
from modellego.heatmaps import heatmap

Row = dict[str, Any]
SETS = ("mnist", "fashion-mnist")
TASKS = tuple(Task(d, c) for d in SETS for c in ("0-4", "5-9"))
PAIR = (Task("mnist", "0-4"), Task("fashion-mnist", "5-9"))
LAYERS = ("conv2", "fc3")
EPOCHS = 5


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the network's training."""
    parser.add_argument("--epochs", type=int, help=f"in place of {EPOCHS}")


def run(run: Run) -> None:
    """Train both, cut four tasks, assemble two, and keep the heat maps' numbers."""
    recipes = {d: short("lenet5", d, run.own.get("epochs") or EPOCHS, run.seed) for d in SETS}
    for dataset in SETS:
        run.row(f"source {dataset}", partial(_source, run, dataset, recipes[dataset]))
    for task in TASKS:
        run.row(task.key, partial(_taken_apart, run, task, recipes[task.dataset]))
    pair = cache(lambda: Pair(run, PAIR, recipes))
    run.row("pair base", lambda: pair().base())
    for refit in (False, True):
        for how in OPTIONS:
            key = f"pair {'refit' if refit else 'cut alone'} {how}"
            run.row(key, lambda how=how, refit=refit: pair().score(how, refit))  # type: ignore[misc]
    for dataset in SETS:
        for layer in LAYERS:
            run.row(f"heat {dataset} {layer}", partial(_heat, run, dataset, layer, recipes[dataset]))


def _source(run: Run, dataset: str, recipe: Recipe) -> Row:
    return run.subject(dataset, recipe).base(range(10))


def _taken_apart(run: Run, task: Task, recipe: Recipe) -> Row:
    subject = run.subject(task.dataset, recipe)
    apart = subject.apart(task.classes)
    cut, repaired = apart.brick(), apart.brick(refit=True)
    scores = {"cut": subject.score(cut, apart.task), "refit": subject.score(repaired, apart.task)}
    return {**subject.base(apart.task), **scores}


def _heat(run: Run, dataset: str, layer: str, recipe: Recipe) -> Row:
    subject = run.subject(dataset, recipe)
    return heat_row(heatmap(subject.whole, subject.data, layer))


def tables(rows: dict[str, Row]) -> str:
    """Return sources, tasks, the assembled pair, and how alike samples of one class are."""
    sources = [
        [f"LeNet-5, {d}", percent(r["base"]), r["images"], millions(r["macs_base"]), millions(r["parameters_base"])]
        for d in SETS
        if (r := rows.get(f"source {d}"))
    ]
    lines = [
        [
            task.key,
            *(percent(row[k]) for k in ("base", "restricted")),
            *(percent(row[k]["accuracy"]) for k in ("cut", "refit")),
            *(share(row["cut"][k], row[f"{k}_base"]) for k in ("macs", "parameters")),
        ]
        for task in TASKS
        if (row := rows.get(task.key))
    ]
    parts = [
        table(["source", "accuracy, all classes", "test images", "MACs", "parameters"], sources),
        table(["task", "base", "restricted", "cut alone", "refit", "MACs", "parameters"], lines),
    ]
    base = rows.get("pair base")
    if base is not None:
        said = f"base {percent(base['base'])}, restricted {percent(base['restricted'])}"
        parts.append(f"MNIST 0-4 + Fashion-MNIST 5-9, assembled without training: {said}; assembled:")
        cells = [
            [cut, *(percent(rows.get(f"pair {cut} {how}", {}).get("accuracy")) for how in OPTIONS)]
            for cut in ("cut alone", "refit")
        ]
        parts.append(table(["bricks", *OPTIONS], cells))
    heat = [[key.removeprefix("heat "), *_alike(r)] for key, r in rows.items() if key.startswith("heat ")]
    if heat:
        parts.append("Samples' soft relative contributions, mean cosine similarity:")
        parts.append(table(["set and layer", "within a class", "between classes"], heat))
    return "\n\n".join(parts)


def _alike(row: Row) -> list[str]:
    return [f"{row[k]:.3f}" for k in ("within", "between")]


def plot(rows: dict[str, Row], folder: Path) -> list[Path]:
    """Draw the heat maps, classes x channels."""
    files = []
    for key, row in rows.items():
        if key.startswith("heat "):
            files += draw(row, folder / f"appendix-{key.removeprefix('heat ').replace(' ', '-')}")
    return files


SHOWS = "takes models of MNIST and Fashion-MNIST apart too and shows their heat maps; its figures are not at hand."
DIFFERS = (
    f"LeNet-5, trained by the command in {EPOCHS} epochs (SGD, learning rate 0.05, batch 128, shifts of up to "
    "2 pixels) on the training images at hand of each set, 20,000 where no limit is given; samples are the "
    "50 most confident per class; as many test images of every class score the assembled model; refit and calibration "
    "are ours."
)

EXPERIMENT = Experiment(
    title="MNIST and Fashion-MNIST",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=(*ASSEMBLING, "heatmaps"),
    plot=plot,
    options=options,
)

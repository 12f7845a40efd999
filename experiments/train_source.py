"""Train one of the paper's networks from nothing on all train images of a data set; it only trains, and can be resumed.

    python -m experiments train-source vgg16_bn cifar10 --out ~/.cache/modellego/sources

The folder `--out` gets the checkpoint, the weights and the recipe with its log (see `study/training.py`), and
train_source.json, a row per finished source. To have a source in docs/results.md, put that file into
experiments/results.
"""

import argparse
import time
from dataclasses import fields
from functools import partial
from typing import Any

from experiments.frame.markdown import percent, table
from experiments.frame.registry import Document, Experiment
from experiments.frame.run import SOURCES, Run
from experiments.study.sources import PREPROCESS
from experiments.study.training import FORMATS, Recipe, place, train
from modellego import zoo


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the recipe."""
    parser.add_argument("network", choices=zoo.names())
    parser.add_argument("dataset", choices=sorted(PREPROCESS))
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--memory-format", choices=sorted(FORMATS), default="channels_last")


def run(run: Run) -> None:
    """Train, going on from the last epoch, and put what came out into the record."""
    asked = {**run.own, "network": run.network, "seed": run.seed}
    recipe = Recipe(**{f.name: asked[f.name] for f in fields(Recipe)})
    record, start = run.record, time.perf_counter()
    say = run.say or partial(print, flush=True)
    done = train(recipe, run.sources.data(recipe.dataset), place(run.out, run.limit), run.command or "", say)
    if record.document["rows"].get(recipe.name, {}).get("sha256") != done["sha256"]:
        record.put(recipe.name, done, time.perf_counter() - start)


def section(document: Document) -> str:
    """Return a line per source, and how its accuracy rose."""
    rows: dict[str, Any] = document["rows"]
    lines = []
    for name, row in rows.items():
        recipe, log = row["recipe"], row["epochs"]
        curve = " ".join(f"{100 * e['test_accuracy']:.1f}" for e in log)
        minutes = sum(e["seconds"] for e in log) / 60
        how = f"lr {recipe['learning_rate']:g}, batch {recipe['batch_size']}, {recipe['precision']}"
        cells = [
            name,
            percent(log[-1]["test_accuracy"]),
            percent(log[-1]["train_accuracy"]),
            curve,
            f"{minutes:.0f}",
            how,
        ]
        lines.append([*cells, row["sha256"][:12]])
    header = ["source", "test accuracy", "train accuracy", "test accuracy by epoch", "minutes", "recipe", "SHA-256"]
    said = (
        "SGD with Nesterov momentum, one-cycle learning rate, mirrored and shifted images; the last epoch's weights. "
    )
    return said + "The whole recipe and log of each stand in the JSON.\n\n" + table(header, lines)


EXPERIMENT = Experiment(
    title="Sources trained here",
    run=run,
    section=section,
    measures=("zoo", "data", "training"),
    options=options,
    settings=lambda run: {},  # each row has its recipe
    out=SOURCES,
)

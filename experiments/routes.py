"""Decision routes of "dog" and "automobile" through a LeNet-5 and a ResNet-20, as pages and pictures."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame.markdown import table
from experiments.frame.page import reproduction
from experiments.frame.registry import CUTTING, Experiment
from experiments.frame.run import Run, source_options
from experiments.study.training import Recipe, short
from modellego.decision_routes import RouteGraph, render_html, roles, routes, save_picture
from modellego.errors import MissingExtraError

Row = dict[str, Any]
CLASSES = "dog,automobile"
THRESHOLD = 0.2
EPOCHS = 10


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the other network, and the LeNet-5's training."""
    source_options(parser)
    parser.add_argument("--epochs", type=int, help=f"of the LeNet-5, in place of {EPOCHS}")


def run(run: Run) -> None:
    """Follow both classes through both networks; the files are written beside the record."""
    lenet = short("lenet5", "cifar10", run.own.get("epochs") or EPOCHS, run.seed)
    run.row("lenet5", partial(_followed, run, "lenet5", lenet))
    other = run.network or "resnet20"
    run.row(other, partial(_followed, run, other, None))


def _followed(run: Run, name: str, recipe: Recipe | None) -> Row:
    subject = run.subject("cifar10", recipe)
    (graph,) = routes(subject.whole, subject.data, CLASSES, threshold=THRESHOLD, title=f"Decision routes, {name}")
    page = run.out / f"routes-{name}.html"
    page.write_text(render_html(graph), encoding="utf-8")
    for ending in (".png", ".svg"):
        try:
            save_picture(graph, page.with_suffix(ending))
        except MissingExtraError as error:
            run.record.say(f"no picture: {error}")
    task = [subject.whole.classes.index(c) for c in graph.classes]
    base = subject.base(range(len(subject.whole.classes)))
    return {"accuracy": base["base"], "classes": [subject.whole.classes[k] for k in task], "layers": _layers(graph)}


def _layers(graph: RouteGraph) -> list[Row]:
    found = []
    for number, layer in enumerate(graph.layers):
        if layer.channels and layer.kind not in ("input", "logits"):
            role = roles(graph, number, THRESHOLD)
            private = [int(np.sum(role == k)) for k in range(len(graph.classes))]
            shared, unused = int(np.sum(role == -1)), int(np.sum(role == -2))
            found.append(
                {
                    "layer": layer.name,
                    "channels": layer.channels,
                    "private": private,
                    "shared": shared,
                    "unused": unused,
                }
            )
    return found


def tables(rows: dict[str, Row]) -> str:
    """Return a table per network: channels private to each class, shared and unused, by layer."""
    parts = []
    for name, row in rows.items():
        lines = [[v["layer"], v["channels"], *v["private"], v["shared"], v["unused"]] for v in row["layers"]]
        header = ["layer", "channels", *(f"{c} alone" for c in row["classes"]), "shared", "unused"]
        parts += [f"**{name}** (accuracy on all ten classes {100 * row['accuracy']:.2f} %):", table(header, lines)]
    return "\n\n".join(parts)


def plot(rows: dict[str, Row], folder: Path) -> list[Path]:
    """Return the files that were written with the rows."""
    files = [folder / f"routes-{name}{ending}" for name in rows for ending in (".png", ".svg", ".html")]
    return [f for f in files if f.is_file()]


SHOWS = 'draws the routes of "dog" and "automobile" through a LeNet-5, channels of one class apart from shared ones.'
DIFFERS = (
    f"a LeNet-5 trained on CIFAR-10 by the command ({EPOCHS} epochs by default), and a published ResNet-20; a "
    f"channel counts from a relative contribution of {THRESHOLD} on, which the page's slider changes."
)

EXPERIMENT = Experiment(
    title="Decision routes",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=(*CUTTING, "decision_routes"),
    plot=plot,
    options=options,
)

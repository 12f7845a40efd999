"""Heat maps of the soft relative contribution, classes x channels, and how alike samples of one class are."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame.markdown import table
from experiments.frame.page import reproduction
from experiments.frame.registry import CUTTING, Experiment
from experiments.frame.run import Run, source_options
from modellego.heatmaps import HeatMap, draw_classes, draw_samples, heatmap

Row = dict[str, Any]
SETS = ("cifar10", "cifar100")
LAYERS = (-2, -1)  # places among the layers that mix channels: the last convolution, the last linear layer
DRAWN = 10  # samples of a class in a picture, and classes


def run(run: Run) -> None:
    """Work out two layers' heat maps on both sets."""
    for dataset in SETS:
        for layer in LAYERS:
            run.row(f"{dataset} {layer}", partial(_row, run, dataset, layer))


def _row(run: Run, dataset: str, layer: int) -> Row:
    subject = run.subject(dataset)
    per_class = 50 if len(subject.whole.classes) <= 10 else 10
    with run.progress("heat map", "passes"):
        return heat_row(heatmap(subject.whole, subject.data, layer, per_class=per_class))


def heat_row(found: HeatMap) -> Row:
    """Return a heat map as plain values, to three decimals, and some of its single samples."""
    drawn = [k for c in range(min(DRAWN, len(found.classes))) for k in np.flatnonzero(found.labels == c)[:DRAWN]]
    return {
        "layer": found.layer,
        "classes": list(found.classes),
        "samples": len(found.labels),
        "channels": found.by_class.shape[1],
        "within": round(found.similarity.within, 4),
        "between": round(found.similarity.between, 4),
        "by_class": [[round(float(v), 3) for v in line] for line in found.by_class],
        "by_sample": [[round(float(v), 3) for v in line] for line in found.by_sample[drawn]],
        "labels": [int(k) for k in found.labels[drawn]],
    }


def draw(row: Row, stem: Path) -> list[Path]:
    """Draw a row of `heat_row`, classes and single samples, each as PNG and SVG; files begin with `stem`."""
    files = []
    name = stem.name.replace(".", "-")  # module paths have dots
    for ending in (".png", ".svg"):
        classes = stem.with_name(f"{name}{ending}")
        draw_classes(np.array(row["by_class"]), row["classes"], classes, layer=row["layer"], sort=True)
        samples, labels = stem.with_name(f"{name}-samples{ending}"), np.array(row["labels"])
        draw_samples(np.array(row["by_sample"]), labels, row["classes"], samples, layer=row["layer"], sort=True)
        files += [classes, samples]
    return files


def tables(rows: dict[str, Row]) -> str:
    """Return how alike samples are; the maps themselves are pictures."""
    lines = [
        [
            f"{key.split()[0]}, {row['layer']}",
            row["channels"],
            row["samples"],
            f"{row['within']:.3f}",
            f"{row['between']:.3f}",
            f"{np.mean(np.array(row['by_class']) >= 0.2):.2f}",
        ]
        for key, row in rows.items()
    ]
    header = ["set, layer", "channels read", "samples", "alike within a class", "between classes", "share over 0.2"]
    return "\n\n".join(
        [
            table(header, lines),
            "Alike: mean cosine similarity of two samples' contributions, over all samples; the "
            f"pictures show up to {DRAWN} samples of up to {DRAWN} classes.",
        ]
    )


def plot(rows: dict[str, Row], folder: Path) -> list[Path]:
    """Draw every map."""
    return [f for key, row in rows.items() for f in draw(row, folder / f"heatmaps-{key.split()[0]}-{row['layer']}")]


SHOWS = (
    "draws categories x channels for VGG-16's layer 13, ResNet-50's 52 and GoogLeNet's 66: each category has "
    "channels of its own, and samples of one category agree."
)
DIFFERS = (
    "the last convolution and the linear layer behind it, of published ResNet-20s unless `--network` names "
    "one; 50 samples per class of CIFAR-10, 10 of CIFAR-100; agreement is given as a number."
)

EXPERIMENT = Experiment(
    title="Heat maps of the soft relative contribution",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=(*CUTTING, "heatmaps"),
    plot=plot,
    options=source_options,
)

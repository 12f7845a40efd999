"""Peak memory of `disassemble` against the number of images: 224x224, from files, a tiny network, 10 and 1,000 classes.

The images are links to a few small JPEG files, so that disk and decoding cost little; every link is an image of its own
to the command. Each size runs in a process of its own; its peak is that of the process, `getrusage`, beside that of the
run on as many classes and 1,000 images.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from experiments.frame.markdown import table
from experiments.frame.registry import CUTTING, Document, Experiment
from experiments.frame.run import Run
from modellego.disassembly import Samples, disassemble
from modellego.preprocess import Preprocess

SIZES = (1_000, 10_000, 50_000)
CLASSES = (10, 1_000)
SIDE, FILES = 224, 8
MB = 1e6


def tiny(classes: int) -> nn.Module:
    """Return a network of three layers with random weights that reads 224x224 pixels and costs next to nothing."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes)),
    )


def linked_images(folder: Path, count: int, classes: int) -> None:
    """Make `count` image files in class folders, links to a few JPEG files."""
    random = np.random.default_rng(0)
    real = folder / "real"
    real.mkdir()
    for k in range(FILES):
        small = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(real / f"{k}.jpg", quality=60)
    for label in range(classes):
        (folder / "data" / f"{label:04}").mkdir(parents=True)
    for number in range(count):
        os.link(real / f"{number % FILES}.jpg", folder / "data" / f"{number % classes:04}" / f"{number}.jpg")


def measured(folder: Path, classes: int, answer: Any) -> None:
    """Disassemble in this process, for all classes, and send what it took."""
    torch.set_num_threads(1)
    start = time.process_time()
    names = [f"{k:04}" for k in range(classes)]
    preprocess = Preprocess(3, SIDE, SIDE, (0.5,), (0.25,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    brick = disassemble(
        *(tiny(classes), folder / "data", names),
        preprocess=preprocess,
        class_names=names,
        samples=Samples(cache=False),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert brick.info.refit is not None
    answer.put(
        {
            "peak_MB": round(peak * 1024 / MB),
            "before_MB": round(before * 1024 / MB),
            "refitted_on": brick.info.refit["images"],
            "cpu_s": round(time.process_time() - start, 1),
        }
    )


def apart(count: int, classes: int) -> dict[str, Any]:
    """Measure one size in a new process."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        linked_images(Path(folder), count, classes)
        answer = context.SimpleQueue()
        process = context.Process(target=measured, args=(Path(folder), classes, answer))
        process.start()
        process.join()
        if process.exitcode or answer.empty():
            raise SystemExit(f"the process for {count} images ended with {process.exitcode}")
        found: dict[str, Any] = answer.get()
        return found


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the sizes."""
    parser.add_argument("--classes", type=int, nargs="+", default=list(CLASSES), help="numbers of classes")
    parser.add_argument("--images", type=int, nargs="+", default=list(SIZES), help="numbers of images")


def run(run: Run) -> None:
    """Measure every size, the smallest first."""
    for classes in run.own["classes"]:
        for count in run.own["images"]:
            run.row(f"{classes} classes, {count} images", partial(apart, count, classes))


def section(document: Document) -> str:
    """Return peak memory, and its ratio to the smallest run of as many classes."""
    rows = []
    first: dict[str, float] = {}
    for key, row in document["rows"].items():
        classes, count = key.removesuffix(" images").split(" classes, ")
        base = first.setdefault(classes, row["peak_MB"])
        ratio = f"{row['peak_MB'] / base:.2f}"
        rows.append([classes, f"{int(count):,}", row["refitted_on"], row["peak_MB"], ratio, row["cpu_s"]])
    return table(["classes", "images", "refitted on", "peak, MB", "ratio", "CPU s"], rows)


EXPERIMENT = Experiment(
    title="Memory against the number of images",
    run=run,
    section=section,
    measures=CUTTING,
    options=options,
    settings=lambda run: {},
)

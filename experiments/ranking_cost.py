"""Time and memory of choosing and repairing on ImageNet networks: ranking by reconstruction, refit, cost and saving.

Random weights and random images at 224 x 224, ten classes; each network in a process of its own (Linux). Times are the
processor's, so that others may use the machine as well; the linear algebra is timed apart, and one forward pass of the
same images in the same run is the unit of the rest.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from experiments.frame.markdown import table
from experiments.frame.registry import CUTTING, Document, Experiment
from experiments.frame.run import Run
from experiments.study.coverage_models import declare_torchvision_ops
from experiments.study.masked import numel_bytes
from modellego.brick import Brick, save
from modellego.capture.network import Network
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.data.chunks import chunks
from modellego.data.feed import Inputs
from modellego.data.store import Pixels
from modellego.evaluation import cost
from modellego.locate import Request, rank
from modellego.preprocess import Preprocess
from modellego.refit import refit
from modellego.sources.whole import whole_brick

NETWORKS = ("resnet50", "vgg16", "mobilenet_v3_large", "efficientnet_b0")
PER_CLASS = (50, 200)
CLASSES, SHARE, SIDE = 10, 0.5, 224
# what is timed as linear algebra: products of rows, factorisations, eliminations
ALGEBRA = {
    "ranking": (
        "modellego.locate.statistics.Products._work_in",
        "modellego.locate.statistics.LayerStatistics._work_in",
        "modellego.locate.eliminate.make_reconstructions",
        "modellego.locate.eliminate.Independent",
        "modellego.locate.reconstruction.Reconstruction.cheapest_half",
        "modellego.locate.criteria.eliminate",
    ),
    "refit": ("modellego.refit.stages.fit_stage",),
}


class RandomImages:
    """Images of noise, each made anew from its number when it is read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """Return what to call an image."""
        return f"noise {index}"

    def read(self, index: int) -> Pixels:
        """Return an image."""
        return np.random.default_rng(index).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


@contextmanager
def timed(names: tuple[str, ...], spent: list[float]) -> Iterator[None]:
    """Add up in `spent` the processor seconds that functions take."""

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent.append(time.process_time() - start)

        return call

    with ExitStack() as stack:
        for name in names:
            stack.enter_context(patch(name, wrapped(resolve_name(name))))
        yield


def measured(name: str, per_class: int, threads: int) -> dict[str, Any]:
    """Choose and repair one network at half of its MACs, and say what that took."""
    keep_alive = declare_torchvision_ops()
    import torchvision

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, num_classes=CLASSES)
    whole = whole_brick(model, Preprocess(3, SIDE, SIDE), [str(i) for i in range(CLASSES)])
    del model, keep_alive
    network = whole.captured()
    channels, task, spent = analyse(network), tuple(range(CLASSES)), cost(whole)
    images = Inputs(RandomImages(CLASSES * per_class), whole.frame, whole.prepare)
    before = high_water()
    forward = seconds(lambda: run_once(network.graph, images))
    made: dict[str, Any] = {}

    def choose() -> None:
        request = Request(network, channels, images, None, task)
        made["plan"] = plan_cut(
            network, channels, rank("reconstruction", request, (spent.macs, spent.parameters)).at(macs=SHARE), task
        )

    def repair() -> None:
        made["small"] = cut(made["plan"])
        made["report"] = refit(made["plan"], made["small"], images)

    def finish() -> None:
        brick = whole_brick_of(whole, made["small"])
        made["macs"] = cost(brick).macs / spent.macs
        with tempfile.TemporaryDirectory() as folder:
            save(brick, Path(folder) / "x.brick")

    row: dict[str, Any] = {"images": len(images), "threads": torch.get_num_threads(), "forward_s": forward}
    total = 0.0
    for part, work in (("ranking", choose), ("refit", repair)):
        algebra: list[float] = []
        with timed(ALGEBRA[part], algebra):
            row[f"{part}_s"] = seconds(work)
        row[f"{part}_algebra_s"] = sum(algebra)
        row[f"{part}_passes"] = (row[f"{part}_s"] - sum(algebra)) / forward
        row[f"{part}_peak_mb"] = (high_water() - numel_bytes(network.graph)) / 1e6
        total += row[f"{part}_passes"]
    row["saving_s"] = seconds(finish)
    row |= {"passes": total + row["saving_s"] / forward, "macs": made["macs"], "refit_images": made["report"].images}
    row |= {"algebra_s": row["ranking_algebra_s"] + row["refit_algebra_s"], "thinned": made["report"].thinned}
    row |= {"load_average": os.getloadavg()[0]}
    row |= {"peak_mb": (high_water() - numel_bytes(network.graph)) / 1e6, "before_mb": before / 1e6}
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}


def whole_brick_of(whole: Brick, small: Network) -> Brick:
    """Return a cut network as a brick of its source's classes."""
    return Brick(small.graph, whole.info)


@torch.no_grad()
def run_once(graph: torch.nn.Module, images: Inputs) -> None:
    """Run a network once over all images, a few at a time."""
    for chunk in chunks(images, 16):
        graph(chunk)


def seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds that something takes, all threads together."""
    start = time.process_time()
    work()
    return time.process_time() - start


def high_water() -> int:
    """Return the most bytes that have been resident in this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def apart(name: str, per_class: int, threads: int) -> dict[str, Any]:
    """Measure in a fresh process, whose memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (name, per_class, threads))


def options(parser: argparse.ArgumentParser) -> None:
    """Declare which networks, how many images per class, and how many threads."""
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--per-class", nargs="+", type=int, default=list(PER_CLASS), help="images per class")
    parser.add_argument("--threads", type=int, default=1)


def run(run: Run) -> None:
    """Measure each network with each number of images."""
    for name in run.own["networks"]:
        for per_class in run.own["per_class"]:
            threads = run.own["threads"]
            run.row(f"{name} {per_class} {threads} threads", partial(apart, name, per_class, threads))


def section(document: Document) -> str:
    """Return the time in forward passes, the linear algebra in seconds, and the memory over the weights."""
    columns = ("forward_s", "ranking_passes", "refit_passes", "passes", "algebra_s", "peak_mb", "refit_images")
    rows = [[key, *(row[c] for c in columns)] for key, row in document["rows"].items()]
    header = ["network, images per class", "forward pass, s", "ranking", "refit", "all, passes", "algebra, s"]
    return (
        "Choosing by reconstruction, cutting to half of the MACs, refit, cost and saving, in forward passes of the "
        "same images in the same run, the linear algebra apart; times are processor seconds, all threads together, and "
        "memory is the process's peak over the weights.\n\n" + table([*header, "peak, MB", "images refitted on"], rows)
    )


EXPERIMENT = Experiment(
    title="Cost of choosing and repairing",
    run=run,
    section=section,
    measures=CUTTING,
    options=options,
    settings=lambda run: {},
)

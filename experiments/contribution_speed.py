"""The contribution pass against the plain forward pass: time and peak memory (Linux), interleaved, as ratios.

The plain pass is the source `nn.Module` in eval mode without gradients; the contribution pass is everything
`class_sums` does over the same images, its preparation included (`with_allocation` adds `r_p` of every layer for every
class). Peak memory is the process's, each pass in a process of its own. `--clock cpu --threads 1` is for a machine that
others use as well.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.frame.markdown import table
from experiments.frame.registry import Document, Experiment
from experiments.frame.run import Run
from experiments.study.coverage_models import declare_torchvision_ops
from modellego import zoo
from modellego.capture import Network, capture
from modellego.contribution.allocate import allocate
from modellego.contribution.stream import class_sums, reading_layers

SEED = 0
# name -> (target ratio, input size)
CASES = {
    "torchvision_resnet50": (1.1, 224),
    "resnet50": (1.1, 32),
    "googlenet": (1.1, 32),
    "vgg16": (1.1, 32),
}


def build(case: str) -> nn.Module:
    """Return a case's network, with random weights."""
    torch.manual_seed(SEED)
    if case != "torchvision_resnet50":
        return zoo.build(case, 10).eval()
    keep_alive = declare_torchvision_ops()
    import torchvision

    model: nn.Module = torchvision.models.resnet50(weights=None).eval()
    del keep_alive
    return model


def plain_pass(model: nn.Module, classes: list[Tensor]) -> None:
    """Run the network over each class's images."""
    with torch.no_grad():
        for images in classes:
            model(images)


def contribution_pass(network: Network, classes: list[Tensor], *, allocation: bool = False) -> None:
    """Sum each class's contributions; with `allocation`, work out `r_p` too."""
    layers = reading_layers(network)
    for _, sums in class_sums(network, enumerate([images] for images in classes)):
        if allocation:
            for node, layer in layers.items():
                allocate(layer, sums.layers[node])


def seconds(work: Callable[[], None], clock: Callable[[], float]) -> float:
    """Return how long some work takes."""
    start = clock()
    work()
    return clock() - start


def measure_time(case: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Interleave the passes, and take the median of each repeat's own ratios."""
    target, size = CASES[case]
    model = build(case)
    network = capture(model, (3, size, size))
    classes = [torch.rand(options["batch"], 3, size, size) for _ in range(options["classes"])]
    clock = time.perf_counter if options["clock"] == "wall" else time.process_time
    works: dict[str, Callable[[], None]] = {
        "plain": lambda: plain_pass(model, classes),
        "contribution": lambda: contribution_pass(network, classes),
        "with_allocation": lambda: contribution_pass(network, classes, allocation=True),
    }
    contribution_pass(network, classes[:1], allocation=True)  # compiled loops and caches
    plain_pass(model, classes[:1])
    rounds = []
    for repeat in range(options["repeats"]):
        order = list(works) if repeat % 2 == 0 else list(reversed(works))
        taken = {name: seconds(works[name], clock) for name in order}
        rounds.append({name: taken[name] for name in works})
    ratios = {name: statistics.median([r[name] / r["plain"] for r in rounds]) for name in works if name != "plain"}
    return {
        "input_size": size,
        "target_ratio": target,
        "ratio": ratios["contribution"],
        "ratio_with_allocation": ratios["with_allocation"],
        "ratio_of_fastest": min(r["contribution"] for r in rounds) / min(r["plain"] for r in rounds),
        "seconds": rounds,
    }


def peak_bytes() -> int:
    """This process's peak memory since it was last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def reset_peak() -> None:
    """Forget this process's peak memory."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_of(case: str, which: str, options: Mapping[str, Any]) -> dict[str, int]:
    """Run one pass and return its peak; for a process of its own."""
    torch.set_num_threads(options["threads"])
    _, size = CASES[case]
    small = capture(zoo.build("vgg16", 10), (3, 32, 32))
    contribution_pass(small, [torch.rand(8, 3, 32, 32)], allocation=True)  # whatever loads and compiles, before
    del small
    model = build(case)
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    network = capture(model, (3, size, size))
    classes = [torch.rand(options["batch"], 3, size, size)]
    reset_peak()
    if which == "plain":
        plain_pass(model, classes)
    else:
        contribution_pass(network, classes, allocation=True)
    return {"peak": peak_bytes(), "parameters": parameters}


def measure_memory(case: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return both passes' peak memory, each from a process of its own."""
    found = {}
    for which in ("plain", "contribution"):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found[which] = pool.submit(peak_of, case, which, dict(options)).result()
    plain, contribution = found["plain"]["peak"], found["contribution"]["peak"]
    allowed = plain + 2 * found["plain"]["parameters"]
    return {
        "plain_peak_bytes": plain,
        "contribution_peak_bytes": contribution,
        "parameter_bytes": found["plain"]["parameters"],
        "allowed_peak_bytes": allowed,
        "within": contribution <= allowed,
    }


def measured(case: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case's row."""
    torch.set_num_threads(options["threads"])
    how = {key: options[key] for key in ("batch", "classes", "clock", "threads")}
    found = measure_time(case, options) | {"memory": measure_memory(case, options)}
    return found | how | {"load_average": os.getloadavg()[0]}


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the cases and how they are timed."""
    parser.add_argument("cases", nargs="*", default=list(CASES), choices=[*CASES, []])
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--classes", type=int, default=4, help="batches, each a class of its own")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")


def run(run: Run) -> None:
    """Measure each case."""
    for case in run.own["cases"]:
        run.row(case, partial(measured, case, run.own))


def section(document: Document) -> str:
    """Return the price of the contribution pass."""
    rows = []
    for name, case in document["rows"].items():
        memory = case.get("memory")
        rows.append(
            [
                f"{name} at {case['input_size']}",
                case["batch"],
                f"{case['ratio']:.2f}",
                f"{case['target_ratio']:.2f}",
                "–" if memory is None else f"{memory['contribution_peak_bytes'] / memory['plain_peak_bytes']:.2f}",
                "–" if memory is None else ("yes" if memory["within"] else "no"),
            ]
        )
    header = ["network", "batch", "time", "wanted at most", "peak memory", "within plain + 2 x parameters"]
    text = "Ratios of the contribution pass to a plain forward pass over the same images, within one run; clock and"
    text += " threads of each case stand in the JSON."
    return "\n\n".join([text, table(header, rows)])


EXPERIMENT = Experiment(
    title="Price of the contribution pass",
    run=run,
    section=section,
    measures=("zoo", "capture", "contribution"),
    options=options,
    settings=lambda run: {"seed": SEED},
)

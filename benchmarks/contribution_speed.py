"""Measure the contribution pass against the plain forward pass: time and peak memory, interleaved, as ratios.

    python benchmarks/contribution_speed.py                  # all four networks, two threads, wall clock
    python benchmarks/contribution_speed.py vgg16 --clock cpu --threads 1   # on a machine that others use as well

Writes benchmarks/results/contribution_speed.json. The plain pass is the source `nn.Module` in eval mode without
gradients; the contribution pass is everything `class_sums` does over the same images, its preparation included
(`with_allocation` adds `r_p` of every layer for every class). Peak memory is the process's, each pass in a process of
its own.
"""
# ruff: noqa: E402

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).resolve().parent)
sys.path = [folder for folder in sys.path if folder != HERE]  # numba would take coverage.py for the library

import torch
from torch import Tensor, nn

from modellego import zoo
from modellego.capture import Network, capture
from modellego.contribution.allocate import allocate
from modellego.contribution.stream import class_sums, reading_layers

RESULTS = Path(__file__).parent / "results" / "contribution_speed.json"
SEED = 0
# name -> (target ratio, input size)
CASES = {
    "torchvision_resnet50": (1.2, 224),
    "resnet50": (1.3, 32),
    "googlenet": (1.3, 32),
    "vgg16": (1.5, 32),
}


def build(case: str) -> nn.Module:
    torch.manual_seed(SEED)
    if case != "torchvision_resnet50":
        return zoo.build(case, 10).eval()
    # torchvision's wheel imports beside a CPU-only torch once these two schemas are declared
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

    model: nn.Module = torchvision.models.resnet50(weights=None).eval()
    return model


def plain_pass(model: nn.Module, classes: list[Tensor]) -> None:
    with torch.no_grad():
        for images in classes:
            model(images)


def contribution_pass(network: Network, classes: list[Tensor], *, allocation: bool = False) -> None:
    layers = reading_layers(network)
    for _, sums in class_sums(network, enumerate([images] for images in classes)):
        if allocation:
            for node, layer in layers.items():
                allocate(layer, sums.layers[node])


def seconds(work: Callable[[], None], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def measure_time(case: str, options: argparse.Namespace) -> dict[str, Any]:
    """Interleave the passes, and take the median of each repeat's own ratios."""
    target, size = CASES[case]
    model = build(case)
    network = capture(model, (3, size, size))
    classes = [torch.rand(options.batch, 3, size, size) for _ in range(options.classes)]
    clock = time.perf_counter if options.clock == "wall" else time.process_time
    works: dict[str, Callable[[], None]] = {
        "plain": lambda: plain_pass(model, classes),
        "contribution": lambda: contribution_pass(network, classes),
        "with_allocation": lambda: contribution_pass(network, classes, allocation=True),
    }
    contribution_pass(network, classes[:1], allocation=True)  # compiled loops and caches
    plain_pass(model, classes[:1])
    rounds = []
    for repeat in range(options.repeats):
        order = list(works) if repeat % 2 == 0 else list(reversed(works))
        taken = {name: seconds(works[name], clock) for name in order}
        rounds.append({name: taken[name] for name in works})
        print(case, {name: round(t, 3) for name, t in rounds[-1].items()}, flush=True)
    ratios = {name: median([r[name] / r["plain"] for r in rounds]) for name in works if name != "plain"}
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
    Path("/proc/self/clear_refs").write_text("5")


def peak_of(case: str, which: str, options: argparse.Namespace) -> dict[str, int]:
    """Run one pass and return its peak; for a process of its own."""
    torch.set_num_threads(options.threads)
    _, size = CASES[case]
    small = capture(zoo.build("vgg16", 10), (3, 32, 32))
    contribution_pass(small, [torch.rand(8, 3, 32, 32)], allocation=True)  # whatever loads and compiles, before
    del small
    model = build(case)
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    network = capture(model, (3, size, size))
    classes = [torch.rand(options.batch, 3, size, size)]
    reset_peak()
    if which == "plain":
        plain_pass(model, classes)
    else:
        contribution_pass(network, classes, allocation=True)
    return {"peak": peak_bytes(), "parameters": parameters}


def measure_memory(case: str, options: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for which in ("plain", "contribution"):
        command = [sys.executable, __file__, case, "--peak-of", which]
        command += ["--batch", str(options.batch), "--threads", str(options.threads)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[which] = json.loads(output.splitlines()[-1])
    plain, contribution = found["plain"]["peak"], found["contribution"]["peak"]
    allowed = plain + 2 * found["plain"]["parameters"]
    return {
        "plain_peak_bytes": plain,
        "contribution_peak_bytes": contribution,
        "parameter_bytes": found["plain"]["parameters"],
        "allowed_peak_bytes": allowed,
        "within": contribution <= allowed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), choices=[*CASES, []])
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--classes", type=int, default=4, help="batches, each a class of its own")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--peak-of", choices=["plain", "contribution"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print(json.dumps(peak_of(options.cases[0], options.peak_of, options)))
        return
    torch.set_num_threads(options.threads)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    for case in options.cases:
        found = measure_time(case, options) | {"memory": measure_memory(case, options)}
        found |= {
            "command": " ".join(["python", "benchmarks/contribution_speed.py", *sys.argv[1:]]),
            "batch": options.batch,
            "classes": options.classes,
            "clock": options.clock,
            "threads": options.threads,
            "load_average": os.getloadavg()[0],
        }
        known["cases"][case] = found
        known |= {
            "seed": SEED,
            "versions": {"python": platform.python_version(), "torch": torch.__version__} | _numba_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(known, indent=1) + "\n")
        print(f"{case}: {found['ratio']:.3f} (at most {found['target_ratio']}), memory {found['memory']}")


def _numba_version() -> dict[str, str]:
    try:
        import numba
    except ImportError:
        return {}
    return {"numba": numba.__version__}


if __name__ == "__main__":
    main()

"""How long one disassembly takes in one process and in two, and how far their bricks are from each other."""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from experiments.frame.markdown import table
from experiments.frame.registry import CUTTING, Document, Experiment
from experiments.frame.run import Run

COMMAND = [
    *("-m", "modellego", "disassemble", "source.brick", "--data", "digits", "--classes", "0-4"),
    *("--macs", "0.5", "--refit-images", "30", "--no-cache", "--force"),
]
WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread each": (2, 1)}
FIRST = "1 process, 1 thread"


def measured(folder: Path, name: str) -> dict[str, Any]:
    """Disassemble in a new command; its seconds, and the largest difference of a weight from those of the first way."""
    from modellego.brick import load

    processes, threads = WAYS[name]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *(torchrun if processes > 1 else []), *COMMAND, "-o", name],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        check=True,
        capture_output=True,
    )
    seconds = time.perf_counter() - start
    brick = load(folder / name)
    assert brick.info.cut is not None
    found: dict[str, Any] = {"processes": processes, "threads": threads, "wall_s": round(seconds, 1)}
    found |= {"kept": brick.info.cut.kept, "load": round(os.getloadavg()[0], 1)}
    if (folder / FIRST).is_dir():
        pairs = zip(load(folder / FIRST).parameters(), brick.parameters(), strict=True)
        found["difference"] = max(
            float((a - b).detach().abs().max() / a.detach().abs().max().clamp(min=1)) for a, b in pairs
        )
    return found


def run(run: Run) -> None:
    """Make one source with random weights, which cost what trained ones do, and cut it in each way."""
    import torch

    from modellego import zoo
    from modellego.preprocess import Preprocess
    from modellego.sources.whole import whole_brick

    torch.manual_seed(0)
    net = zoo.build("resnet20", 10, 1, 32)
    with tempfile.TemporaryDirectory() as folder:
        names = [str(digit) for digit in range(10)]
        whole_brick(net.eval(), Preprocess(1, 32, 32, (0.3,), (0.35,)), names, "source").save(f"{folder}/source.brick")
        for name in WAYS:
            run.row(name, partial(measured, Path(folder), name))


def section(document: Document) -> str:
    """Return seconds and differences; both ways of using two cores beside one."""
    rows = [
        [name, row["wall_s"], row["kept"], f"{row.get('difference', 0):.0e}", row["load"]]
        for name, row in document["rows"].items()
    ]
    head = ["ResNet-20 at 32x32, 5 digits, 150 images", "s", "groups kept", "weights differ by", "load of the machine"]
    return table(head, rows)


EXPERIMENT = Experiment(
    title="Several processes",
    run=run,
    section=section,
    measures=(*CUTTING, "distributed"),
    settings=lambda run: {"command": COMMAND},
)

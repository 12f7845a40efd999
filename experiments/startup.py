"""How long it takes to start: `import modellego` beside `import torch`, and `modellego --help`, in new processes."""

import os
import statistics
import subprocess
import sys
import time
from functools import partial
from typing import Any

from experiments.frame.markdown import table
from experiments.frame.registry import Document, Experiment
from experiments.frame.run import Run

RUNS = 7
COMMANDS = {
    "python": [sys.executable, "-c", ""],
    "import torch": [sys.executable, "-c", "import torch"],
    "import modellego": [sys.executable, "-c", "import modellego"],
    "import torch, modellego, and the two verbs": [
        *(sys.executable, "-c"),
        "import torch, modellego; modellego.disassemble; modellego.assemble",
    ],
    "modellego --help": [sys.executable, "-m", "modellego", "--help"],
}


def measured(command: list[str]) -> dict[str, Any]:
    """Run a command a few times behind one warm-up; seconds of wall clock and of CPU, the medians."""
    walls, cpus = [], []
    for number in range(RUNS + 1):
        before, start = os.times(), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        wall, after = time.perf_counter() - start, os.times()
        if number:
            walls.append(wall)
            cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "runs": RUNS, "load": round(os.getloadavg()[0], 1)}


def run(run: Run) -> None:
    """Measure each command."""
    for name, command in COMMANDS.items():
        run.row(name, partial(measured, command))


def section(document: Document) -> str:
    """Return the times; the CPU's are those to compare where the machine was busy."""
    rows = [[f"`{name}`", row["wall_s"], row["cpu_s"], row["load"]] for name, row in document["rows"].items()]
    return table(["in a new process", "s", "CPU s", "load of the machine"], rows)


EXPERIMENT = Experiment(
    title="Starting",
    run=run,
    section=section,
    measures=("__init__.py", "cli"),
    settings=lambda run: {},
)

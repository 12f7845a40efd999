"""The whole command killed at a moment drawn by chance while it saves: the old brick or the new one stays whole.

Each try runs `modellego disassemble ... -o lego.brick --force` in a process forked from one that has run it once, so
that imports are not paid for each, and kills it (SIGKILL) after a time drawn evenly over what a whole run takes. Then
the brick is loaded; every fourth try the command runs to its end and must leave nothing beside the brick.

    python -m experiments.kills [--count 400] [--seed 0]
"""

import argparse
import contextlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import torch
from torch import fx, nn

import modellego as ml
from modellego.brick import Brick, make_info
from modellego.cli import main as command
from modellego.errors import LegoError

CUT = ("--macs", "0.5", "--criterion", "contribution", "--no-refit")
RECORD = Path(__file__).resolve().parent / "results" / "kills.json"


def digits_brick() -> Brick:
    """Return an untrained network for the digits that scikit-learn brings along."""
    root = nn.Module()
    root.add_module("stem", nn.Conv2d(1, 16, 3, padding=1))
    root.add_module("head", nn.Linear(16, 10))
    graph = fx.Graph()
    y = graph.call_function(torch.ops.aten.relu.default, (graph.call_module("stem", (graph.placeholder("x"),)),))
    graph.output(graph.call_module("head", (graph.call_function(torch.ops.aten.mean.dim, (y, [2, 3])),)))
    return Brick(fx.GraphModule(root, graph), make_info(classes=[str(i) for i in range(10)], input_shape=(1, 8, 8)))


def warm(arguments: list[str]) -> None:
    """Run the command line in this process, so that forks find everything imported."""
    torch.set_num_threads(1)
    with contextlib.suppress(ImportError):  # torch counts nodes by it, under a lock shared by forks: a kill may keep it
        from tqdm import tqdm  # type: ignore[import-untyped]

        tqdm.set_lock(threading.RLock())
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        command(arguments)


def started(arguments: list[str], place: Path) -> int:
    """Run the command line in a fork of this process, and return its number."""
    process = os.fork()
    if process:
        return process
    os.chdir(place)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    try:
        command(arguments)
    except SystemExit as leaving:
        os._exit(leaving.code if isinstance(leaving.code, int) else 0)
    os._exit(0)


def whole(arguments: list[str], place: Path) -> float:
    """Run the command to its end, and return the seconds it took."""
    start = time.monotonic()
    _, status = os.waitpid(started(arguments, place), 0)
    if status:
        raise SystemExit(f"modellego {' '.join(arguments)} failed with {status}")
    return time.monotonic() - start


def main(arguments: list[str] | None = None) -> int:
    """Kill as often as asked, print and record what was left; 1 where a brick was not whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RECORD)
    asked = parser.parse_args(arguments)
    chance, tally, broken = random.Random(asked.seed), Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as where, tempfile.TemporaryDirectory() as where_else:
        place = Path(where)
        brick, uncut = place / "lego.brick", digits_brick().save(Path(where_else) / "uncut")
        given = ["disassemble", str(uncut), "--data", "digits"]
        lines = [[*given, "--classes", classes, *CUT, "-o", str(brick), "--force"] for classes in ("0-2", "3-7")]
        warm(lines[0])
        whole(lines[0], place)
        seconds = whole(lines[0], place)
        kept = brick.stat().st_ino
        for turn in range(asked.count):
            process = started(lines[turn % 2], place)
            time.sleep(chance.uniform(0, 1.1 * seconds))
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            tally["killed" if os.WIFSIGNALED(status) else "had ended"] += 1
            tally["rests"] += sum(p.name.endswith(".part") for p in place.iterdir())
            try:
                ml.load(brick)
            except LegoError as error:
                broken.append(str(error))
            tally["new brick"] += brick.stat().st_ino != kept
            kept = brick.stat().st_ino
            if turn % 4 == 3:
                whole(lines[0], place)
                tally["swept"] += sorted(p.name for p in place.iterdir()) == ["lego.brick"]
                kept = brick.stat().st_ino
    record = {
        "command": f"python -m experiments.kills --count {asked.count} --seed {asked.seed}",
        "tally": dict(tally),
        "broken": broken,
    }
    asked.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())

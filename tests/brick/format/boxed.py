"""Bricks of strangers, opened in a process of their own with little memory: a crash or a greed fails one test, not all.

`python boxed.py FOLDER...` loads each folder and runs what loads on one and on two images, and says of each what came
of it, one line of JSON a folder.
"""

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOM = 2**30  # of memory beside what the imports take
SECONDS = 120
LIMIT = 2  # seconds of processor time for one brick


@dataclass(frozen=True)
class Outcome:
    """What came of one folder: `ran`, `refused` (with the text), another error's name, or `crashed`."""

    verdict: str
    text: str = ""
    seconds: float = 0.0
    mebibytes: float = 0.0

    def check_refused(self, said: str) -> None:
        """Fail unless the folder was refused by a sentence in which the pattern `said` is found."""
        assert self.verdict == "refused", self
        assert re.search(said, self.text), self.text

    def check_cheap(self, seconds: float = LIMIT) -> None:
        """Fail if it took more than `seconds` of processor time or 512 MiB."""
        assert self.seconds < seconds
        assert self.mebibytes < 512


def open_boxed(folders: Sequence[Path]) -> dict[str, Outcome]:
    """Open bricks in one process, and in a new one from the next on where it died; return outcomes by folder name.

    The first is an honest one, which bears what is imported at first use. One that was slow is opened once more: what
    it takes twice is its own, and not a busy machine's.
    """
    outcomes = _opened([str(f) for f in folders])
    slow = [str(f) for f in folders[1:] if outcomes[f.name].seconds >= LIMIT]
    return outcomes | _opened([str(folders[0]), *slow] if slow else [])


def _opened(left: list[str]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    while left:
        command = [sys.executable, __file__, *left]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        for folder, line in zip(left, lines, strict=False):
            outcomes[Path(folder).name] = Outcome(**line)
        if len(lines) < len(left):
            outcomes[Path(left[len(lines)]).name] = Outcome("crashed", f"{done.returncode}: {done.stderr[-300:]}")
        left = left[len(lines) + 1 :]
    return outcomes


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _open(folder: str) -> tuple[str, str]:
    import torch

    import modellego as ml

    try:
        brick = ml.load(folder)
        info = brick.info if hasattr(brick, "network") else None
        shape = info.input_shape if info is not None and info.input_shape else (3, 8, 8)
        with torch.no_grad():
            for batch in (1, 2):
                brick(torch.rand(batch, *shape))
    except ml.LegoError as error:
        return "refused", str(error)
    except Exception as error:
        return type(error).__name__, str(error)[:300]
    return "ran", ""


def _main(folders: Sequence[str]) -> None:
    import torch

    import modellego as ml

    torch.set_num_threads(1)
    assert ml.load  # imported only when it is asked for
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
    for folder in folders:
        before, start = _peak(), time.process_time()
        verdict, text = _open(folder)
        line = {"verdict": verdict, "text": text, "seconds": time.process_time() - start, "mebibytes": _peak() - before}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1:])

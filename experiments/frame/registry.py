"""The experiments by name; each is one file of `experiments/` that defines `EXPERIMENT`."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from experiments.frame.run import Run
from modellego.errors import LegoError

Rows = dict[str, Any]
Document = dict[str, Any]
# in the order of `--list` and of docs/results.md; each names a file of `experiments/`
NAMES: tuple[str, ...] = (
    "published",
    "accuracy",
    "head_ideas",
    "criteria",
    "reject",
    "tune",
    "finetune",
    "brick_latency",
    "contribution_speed",
    "analysis_speed",
    "ranking_cost",
    "memory",
    "startup",
    "processes",
    "coverage",
    "train_source",
    "table_disassembly",
    "disassemble",
    "assemble",
    "ablation",
    "curves",
    "routes",
    "heatmaps",
    "compression",
    "distillation",
    "graph",
    "appendix",
)
# rooms of src/modellego that most experiments measure
CUTTING = (
    *("preprocess.py", "data", "capture", "channels", "contribution", "leastsquares", "locate", "cut", "refit"),
    *("disassembly", "evaluation"),
)
ASSEMBLING = (*CUTTING, "assembly")


@dataclass(frozen=True)
class Experiment:
    """One thing that is measured.

    `run(run)` fills the record row by row; `section(document)` says in Markdown what a record shows, without its
    heading; `plot(rows, folder)` draws pictures (extra `plot`), named after the experiment, and returns their paths.
    `measures` names the rooms of `src/modellego` whose change makes rows older than the code (`--stale`). `options`
    declares what the experiment can be asked beside the options that all have; `settings` is what its figures depend
    on, where that is not all that was asked.
    """

    title: str
    run: Callable[[Run], None]
    section: Callable[[Document], str]
    measures: tuple[str, ...]
    plot: Callable[[Rows, Path], list[Path]] | None = None
    options: Callable[[argparse.ArgumentParser], None] | None = None
    settings: Callable[[Run], dict[str, Any]] | None = None
    out: Path | None = None  # where it writes by default, where that is not `experiments/results`
    page: str | None = None  # a file in docs/ of its own, where it is no section of results.md


def known() -> dict[str, Experiment]:
    """Return all experiments by name.

    >>> list(known())[0]
    'published'
    """
    return {name: find(name) for name in NAMES}


def find(name: str) -> Experiment:
    """Return one experiment; `-` may stand for `_`.

    Raises:
        LegoError: there is none of that name; the text lists all.
    """
    name = name.replace("-", "_")
    if name not in NAMES:
        listed = ", ".join(n.replace("_", "-") for n in NAMES)
        raise LegoError(f"there is no experiment {name!r}: there are {listed}")
    found: Experiment = import_module(f"experiments.{name}").EXPERIMENT
    return found


def draws(name: str, picture: Path) -> bool:
    """Say by its name whether a picture is an experiment's: `NAME.png`, `NAME-anything.png`.

    >>> draws("curves", Path("curves-cifar10.png")), draws("curves", Path("routes.png"))
    (True, False)
    """
    return picture.stem == name or picture.stem.startswith(f"{name}-")

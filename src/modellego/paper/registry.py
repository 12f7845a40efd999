"""The reproductions by name; each is one file of this room that defines `REPRODUCTION`."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from modellego.errors import LegoError
from modellego.paper.run import Run

Rows = dict[str, Any]
# in the order of `modellego paper --list`; each names a module here
NAMES: tuple[str, ...] = (
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


@dataclass(frozen=True)
class Reproduction:
    """One thing that the paper shows, run again here.

    `run(run)` fills the record row by row; `table(rows)` gives Markdown, the paper's figures beside ours; `plot(rows,
    folder)` draws pictures (extra `plot`) and returns their paths. `shows` and `differs` are sentences.
    """

    name: str
    title: str
    shows: str
    differs: str
    run: Callable[[Run], None]
    table: Callable[[Rows], str]
    plot: Callable[[Rows, Path], list[Path]] | None = None

    def draws(self, picture: Path) -> bool:
        """Say by its name whether a picture is this reproduction's: `NAME.png`, `NAME-anything.png`."""
        return picture.stem == self.name or picture.stem.startswith(f"{self.name}-")


def reproductions() -> dict[str, Reproduction]:
    """Return all reproductions by name.

    >>> all(name == found.name for name, found in reproductions().items())
    True
    """
    return {name: import_module(f"modellego.paper.{name}").REPRODUCTION for name in NAMES}


def find(name: str) -> Reproduction:
    """Return one reproduction.

    Raises:
        LegoError: there is none of that name; the text lists all.
    """
    if name not in NAMES:
        raise LegoError(f"there is no reproduction {name!r}: there are {', '.join(NAMES)}")
    return reproductions()[name]

"""One run of a reproduction: where data is, what was asked for, and its rows, which are worked out once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from modellego.paper.record import Record
from modellego.paper.sources import Sources
from modellego.progress import Stages, silent


@dataclass(frozen=True)
class Run:
    """What a reproduction is given.

    Args:
        name: of the reproduction; its record is `out/NAME.json`.
        data: the folder with the data sets and the published models (see `Sources`).
        out: the folder for record, table, pictures and checkpoints.
        seed: of everything random.
        network: the source model's zoo name; None for the reproduction's own.
        width: of a source model trained here, as a multiple of its full width.
        epochs: of training, where the reproduction trains; None for its own.
        limit: images a split, to try it out; None for all.
        command: what the record says was called.
        say: is told of each new row.
        stages: follows the long parts.
    """

    name: str
    data: Path
    out: Path
    seed: int = 0
    network: str | None = None
    width: float = 1.0
    epochs: int | None = None
    limit: int | None = None
    command: str | None = None
    say: Callable[[str], None] | None = None
    stages: Stages = silent

    @property
    def settings(self) -> dict[str, Any]:
        """Return what figures depend on; rows of other settings are not taken up again."""
        keys = ("seed", "network", "width", "epochs", "limit")
        return {key: getattr(self, key) for key in keys}

    @property
    def path(self) -> Path:
        """Return the record's file."""
        return self.out / f"{self.name}.json"

    @cached_property
    def record(self) -> Record:
        """Return the record, with the rows of an earlier run of the same settings."""
        return Record(self.path, self.settings, self.command, self.say)

    @cached_property
    def sources(self) -> Sources:
        """Return the data sets and the published models, each opened once."""
        return Sources(self.data, self.limit)

    def row(self, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a row of the record, worked out by `work` if it is not there yet, and written at once."""
        return self.record.row(key, work)

"""One run of an experiment: where data is, what was asked for, and its rows, which are worked out once."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.frame.record import Record
from experiments.study.sources import Sources, some
from experiments.study.subject import Subject
from experiments.study.training import Recipe, find_trained, place, read_source, trained
from modellego.data import Data
from modellego.progress import Progress, silent

PUBLISHED = (None, "resnet20", "resnet32")
SOURCES = Path("~/.cache/modellego/sources")


@dataclass(frozen=True)
class Run:
    """What an experiment is given.

    Args:
        name: of the experiment; its record is `out/NAME.json`.
        data: the folder with the data sets and the published models (see `Sources`).
        out: the folder for record, table and pictures.
        trained: the folder with the sources that `train-source` has trained.
        seed: of everything random.
        network: the source, published or trained; None for the experiment's own.
        finetune: epochs of fine-tuning of what was assembled ("score 2"); 0 for none.
        limit: images per split, to try it out; None for all.
        candidates: how many times as many training images samples are chosen from as are taken; None for all.
        scored: test images of each data set that are scored, classes alike; None for all.
        own: what was asked by the options that the experiment declares itself.
        chosen: the settings, where they are not all that was asked.
        command: what the record says was called.
        say: is told of each new row.
        progress: follows the long parts.
    """

    name: str
    data: Path
    out: Path
    trained: Path = SOURCES
    seed: int = 0
    network: str | None = None
    finetune: int = 0
    limit: int | None = None
    candidates: int | None = None
    scored: int | None = None
    own: Mapping[str, Any] = field(default_factory=dict)
    chosen: Mapping[str, Any] | None = None
    command: str | None = None
    say: Callable[[str], None] | None = None
    progress: Progress = silent

    @property
    def settings(self) -> dict[str, Any]:
        """Return what figures depend on; rows of other settings are not taken up again."""
        if self.chosen is not None:
            return dict(self.chosen)
        found = {key: getattr(self, key) for key in ("seed", "network", "limit")}
        more = {key: getattr(self, key) for key in ("finetune", "candidates", "scored")} | dict(self.own)
        return found | {key: value for key, value in more.items() if value}

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

    def subject(self, dataset: str, recipe: Recipe | None = None) -> Subject:
        """Return a source with its data: published, trained before, or trained now by a recipe of a few minutes."""
        known = self.__dict__.setdefault("_subjects", {})
        key = dataset, recipe
        if key not in known:
            known[key] = self._subject(dataset, recipe)
        found: Subject = known[key]
        return found

    def _subject(self, dataset: str, recipe: Recipe | None) -> Subject:
        data = self.sources.data(dataset)
        if recipe is not None:
            whole = trained(recipe, data, place(self.trained, self.limit))
        elif self.network in PUBLISHED:
            whole = self.sources.published(f"{dataset}_{self.network or 'resnet20'}")
        else:
            whole = read_source(find_trained(self.trained, dataset, str(self.network)), data)
        assert data.test is not None
        data = Data(data.train, some(data.test, self.scored))
        name = whole.info.sources[0].name
        return Subject(name, whole, data, self.out / "kept", self.seed, self.progress, self.candidates)

    def row(self, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a row of the record, worked out by `work` if it is not there yet, and written at once."""
        return self.record.row(key, work)


def source_options(parser: argparse.ArgumentParser) -> None:
    """Declare what an experiment can be asked that takes its source from the user."""
    parser.add_argument("--network", help="the source: resnet20, resnet32 (published), or one of train-source")
    parser.add_argument("--candidates", type=int, help="choose samples among this many times as many images, not all")
    parser.add_argument("--scored", type=int, help="test images of a set that are scored; else all")

"""One run of a reproduction: where data is, what was asked for, and its rows, which are worked out once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from modellego.data import Data
from modellego.paper.record import Record
from modellego.paper.sources import PREPROCESS, Sources, some
from modellego.paper.subject import Subject
from modellego.paper.train import Recipe, recipe_for, trained
from modellego.progress import Progress, silent

PUBLISHED = (None, "resnet20", "resnet32")


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
        epochs: of training a source model here; None for the recipe's own.
        finetune: epochs of fine-tuning of what was assembled ("score 2"); 0 for none.
        limit: images a split, to try it out; None for all.
        candidates: how many times as many training images samples are chosen from as are taken; None for all.
        scored: test images of each data set that are scored, classes alike; None for all.
        command: what the record says was called.
        say: is told of each new row.
        progress: follows the long parts.
    """

    name: str
    data: Path
    out: Path
    seed: int = 0
    network: str | None = None
    width: float = 1.0
    epochs: int | None = None
    finetune: int = 0
    limit: int | None = None
    candidates: int | None = None
    scored: int | None = None
    command: str | None = None
    say: Callable[[str], None] | None = None
    progress: Progress = silent

    @property
    def settings(self) -> dict[str, Any]:
        """Return what figures depend on; rows of other settings are not taken up again."""
        keys = ("seed", "network", "width", "epochs", "limit")
        found = {key: getattr(self, key) for key in keys}
        more = {key: getattr(self, key) for key in ("finetune", "candidates", "scored")}
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
        """Return a source model with its data: published, or trained here by a recipe (see `own_recipe`)."""
        known = self.__dict__.setdefault("_subjects", {})
        key = dataset, recipe
        if key not in known:
            known[key] = self._subject(dataset, recipe or self.own_recipe)
        found: Subject = known[key]
        return found

    @property
    def own_recipe(self) -> Recipe | None:
        """Return how the source model is trained here, None for a published one.

        Published ResNets are taken at full width, unless epochs are asked for.
        """
        if self.network in PUBLISHED and self.width == 1 and self.epochs is None:
            return None
        return recipe_for(self.network or "resnet20", self.width, self.epochs)

    def _subject(self, dataset: str, recipe: Recipe | None) -> Subject:
        data, folder = self.sources.data(dataset), self.out / "sources"
        if recipe is None:
            name = f"{dataset}_{self.network or 'resnet20'}"
            whole = self.sources.published(name)
        else:
            name = recipe.file(dataset, self.seed, len(data.train))
            whole = trained(recipe, dataset, data, PREPROCESS[dataset], folder, self.seed, self.progress)
        assert data.test is not None
        data = Data(data.train, some(data.test, self.scored))
        return Subject(name, whole, data, folder, self.seed, self.progress, self.candidates)

    def row(self, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a row of the record, worked out by `work` if it is not there yet, and written at once."""
        return self.record.row(key, work)

"""Two bricks of unlike sources, assembled in several ways and scored on equally many test images of every class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.frame.run import Run
from experiments.study.features import features_of
from experiments.study.paper_figures import Task
from experiments.study.training import Recipe
from modellego.assembly import assemble
from modellego.assembly.ablation import WAYS
from modellego.brick import Assembled, Brick
from modellego.data import Data, ImageSet, load_data
from modellego.evaluation import cost, logits_of, score
from modellego.finetuning import finetune
from modellego.training import Settings

Row = dict[str, Any]
PER_CLASS = 20  # images per class that scaling and calibration see, with three altered views of each
OPTIONS = WAYS


class Pair:
    """Two tasks of two sources; bricks, and what they score together. Bricks' outputs are worked out once."""

    def __init__(self, run: Run, tasks: Sequence[Task], recipes: Mapping[str, Recipe] | None = None) -> None:
        self.run, self.tasks = run, tuple(tasks)
        self.subjects = [run.subject(task.dataset, (recipes or {}).get(task.dataset)) for task in tasks]
        self.aparts = [s.apart(t.classes) for s, t in zip(self.subjects, tasks, strict=True)]
        self._bricks: dict[bool, list[Brick]] = {}
        self._columns: dict[tuple[bool, str], Tensor] = {}

    @property
    def data(self) -> Data:
        """Return both data sets as one."""
        return load_data([s.data for s in self.subjects])

    def bricks(self, refit: bool) -> list[Brick]:
        """Return the bricks at the paper's thresholds, cut alone or repaired."""
        if refit not in self._bricks:
            self._bricks[refit] = [apart.brick(refit=refit) for apart in self.aparts]
        return self._bricks[refit]

    def base(self) -> Row:
        """Return the sources' own accuracies, mean over all classes: with all their logits, and with the task's."""
        total = sum(len(a.task) for a in self.aparts)
        found = [(len(a.task) / total, s.base(a.task)) for s, a in zip(self.subjects, self.aparts, strict=True)]
        sums = {key: sum(weight * row[key] for weight, row in found) for key in ("base", "restricted")}
        costs = {f"{k}_base": sum(row[f"{k}_base"] for _, row in found) for k in ("macs", "parameters")}
        return {**sums, **costs, "classes": total}

    def made(self, how: str, refit: bool) -> Assembled:
        """Return the assembled model, side by side: the same logits as padded, without padding's cost."""
        made = assemble(
            self.bricks(refit),
            data=self.data,
            names=[task.dataset for task in self.tasks],
            per_class=PER_CLASS,
            seed=self.run.seed,
            progress=self.run.progress,
            **OPTIONS[how],  # type: ignore[arg-type]
        )
        assert isinstance(made, Assembled)
        return made

    def test(self, model: Assembled | Brick) -> ImageSet:
        """Return equally many test images of each of the model's classes, labelled by them."""
        test = self.data.test
        assert test is not None
        known = test.for_model(model.classes)
        each = int(known.counts.min())
        places = [known.of_class(k)[:each] for k in range(len(known.classes))]
        return known.subset(np.sort(np.concatenate(places)))

    def score(self, how: str, refit: bool) -> Row:
        """Assemble in one way and score: a parallel model's logits are its joint's, over the bricks' outputs."""
        made = self.made(how, refit)
        test = self.test(made)
        key = refit, "layers" if how == "scaling layers" else "+".join(read for _, read, _ in made.parts)
        if key not in self._columns:
            outputs = []
            for brick, read, _ in made.parts:
                assert isinstance(brick, Brick)
                with self.run.progress("score", "images") as update:
                    outputs.append(
                        features_of(brick, test) if read == "features" else logits_of(brick, test, update=update)
                    )
            self._columns[key] = torch.cat(outputs, 1)
        with torch.no_grad():
            found = score(made.joint(self._columns[key]), test.labels)
        return {**self._row(made, test, found.accuracy), "by_source": self._by_source(found.confusion)}

    def finetuned(self, epochs: int, refit: bool) -> Row:
        """Assemble as it is, fine-tune for some epochs as the paper does ("score 2"), and score."""
        made = self.made("padding", refit)
        settings = Settings(epochs=epochs, held_out=0.0, keep="last", seed=self.run.seed)
        with self.run.progress("score 2", "epochs"):
            done = finetune(made, Data(self.data.train), settings=settings, progress=self.run.progress).model
        test = self.test(done)
        return self._row(done, test, score(logits_of(done, test), test.labels).accuracy)

    def _row(self, made: Assembled | Brick, test: ImageSet, accuracy: float) -> Row:
        spent = cost(made)
        return {"accuracy": accuracy, "images": len(test), "macs": spent.macs, "parameters": spent.parameters}

    def _by_source(self, confusion: Any) -> list[float]:
        """Return the accuracy on each source's own classes: who loses by being assembled."""
        right, all_of = np.diag(confusion), confusion.sum(1)
        ends = np.cumsum([len(a.task) for a in self.aparts])[:-1]
        parts = zip(np.split(right, ends), np.split(all_of, ends), strict=True)
        return [float(r.sum() / n.sum()) for r, n in parts]

"""One task of a source, cut to budgets by one criterion after the other: all else the same for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.brick import Brick
from modellego.contribution.relevance import Thresholds
from modellego.data import Data
from modellego.data.chunks import NetworkInput
from modellego.data.feed import Inputs
from modellego.disassembly.choose import Choice, draw_calibration, network_input, rank_groups
from modellego.disassembly.job import prepare
from modellego.disassembly.sampling import Samples, sampled
from modellego.disassembly.verb import cut_out
from modellego.evaluation import cost
from modellego.locate import Curve
from modellego.progress import Progress, silent

BATCH = 250
MostConfident = Callable[[Sequence[int], int], dict[int, NDArray[np.int64]]]


@dataclass(frozen=True)
class Method:
    """A criterion and how its scores of unlike layers and channel groups compare.

    `per` "macs": a channel group's score is divided by the MACs that go with it; "groups": it stands alone. `seed`
    is the criterion's own, which matters to `random`.
    """

    criterion: str
    per: str = "macs"
    seed: int = 0

    @property
    def name(self) -> str:
        """Return what tables call it.

        >>> Method("l1", "groups").name, Method("contribution").name, Method("random", "groups", 2).name
        ('l1', 'contribution per MAC', 'random 2')
        """
        number = f" {self.seed}" if self.criterion == "random" else ""
        return self.criterion + number + (" per MAC" if self.per == "macs" else "")


class Cutter:
    """A task of a source with its calibration images, drawn from the train part, and its test images.

    `per_class` calibration images per class serve the criteria and the refit; contributions come from the most
    confident images instead, as everywhere; `most_confident(task, per_class)` names them by class, where they are
    known already.
    """

    def __init__(
        self,
        whole: Brick,
        data: Data,
        classes: str,
        per_class: int,
        seed: int = 0,
        most_confident: MostConfident | None = None,
        progress: Progress = silent,
    ) -> None:
        self.whole, self.seed, self.progress, self.choose = whole, seed, progress, most_confident
        self.job = prepare(whole, data, classes)
        self.drawn = draw_calibration(whole, self.job.data.train, self.job.task, per_class, seed)
        self.spent = cost(whole)
        self._curves: dict[Method, Curve] = {}

    @cached_property
    def most_confident(self) -> tuple[NetworkInput, Tensor]:
        """Return the images that contributions come from, as network input, and their labels."""
        train, task, samples = self.job.data.train, self.job.task, Samples()
        if self.choose is None:
            chosen = dict(sampled(self.whole, train, task, samples, progress=self.progress))
        else:
            chosen = self.choose(task, samples.per_class)
        part = train.subset(np.concatenate(list(chosen.values())))
        return network_input(self.whole, part), torch.from_numpy(part.labels)

    @cached_property
    def test(self) -> tuple[list[Tensor], Tensor]:
        """Return the task's test images as batches of network input, and their places in the task."""
        assert self.job.data.test is not None
        part = self.job.data.test.select(self.job.task)
        inputs = (
            Inputs(part, self.whole.frame, self.whole.prepare).tensor().contiguous(memory_format=torch.channels_last)
        )
        return list(inputs.split(BATCH)), torch.from_numpy(part.labels)  # type: ignore[no-untyped-call]

    def curve(self, method: Method) -> Curve:
        """Return the method's ranking, worked out once."""
        if method not in self._curves:
            images = (
                self.most_confident if method.criterion == "contribution" else (self.drawn.inputs, self.drawn.labels)
            )
            with self.progress(f"rank by {method.name}", "passes"):
                self._curves[method] = rank_groups(
                    self.job,
                    method.criterion,
                    *images,
                    Thresholds(),
                    seed=method.seed,
                    per=method.per,
                )
        return self._curves[method]

    def cut(self, method: Method, macs: float, refit: bool = False) -> Brick:
        """Return the task cut to a share of the source's MACs, as it is or repaired in closed form."""
        choice = Choice(self.curve(method).at(macs=macs))
        inputs = self.drawn.inputs if refit else None
        options: dict[str, Any] = {"macs": macs, "per": method.per, "seed": method.seed}
        return cut_out(self.job, choice, method.criterion, options, inputs, progress=self.progress)

    def row(self, brick: Brick) -> dict[str, Any]:
        """Return a brick's accuracy on the task's test images, and what it costs beside its source."""
        spent = cost(brick)
        return {
            "accuracy": self.accuracy(brick.network),
            "macs": spent.macs / self.spent.macs,
            "parameters": spent.parameters / self.spent.parameters,
        }

    def base(self) -> dict[str, Any]:
        """Return the uncut source's accuracy on the task, with all its logits and with the task's."""
        logits, task = self._logits(self.job.network.graph), torch.tensor(self.job.task)
        true = task[self.test[1]]
        return {
            "base": float((logits.argmax(1) == true).double().mean()),
            "restricted": float((task[logits[:, task].argmax(1)] == true).double().mean()),
            "images": len(true),
            "macs": self.spent.macs,
        }

    def accuracy(self, graph: torch.nn.Module) -> float:
        """Return the share of right answers on the task's test images of a network whose logits are the task's."""
        return float((self._logits(graph).argmax(1) == self.test[1]).double().mean())

    @torch.no_grad()
    def _logits(self, graph: torch.nn.Module) -> Tensor:
        graph.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return torch.cat([graph(batch) for batch in self.test[0]])

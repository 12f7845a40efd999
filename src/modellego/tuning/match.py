"""Match a refitted brick to its source by gradient steps: no labels, accepted only if held-out images agree better."""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from modellego.brick import Brick
from modellego.data.views import VIEWS, altered_views
from modellego.errors import DataError
from modellego.progress import Progress, silent
from modellego.training.augment import Augment, augmented
from modellego.training.loop import Examples, Run, run_epochs
from modellego.training.settings import Settings
from modellego.tuning.teacher import BATCH, disagreement, logit_distance, task_logits

ROUNDS = 4  # how often a run looks at the held-out images
MEASURED = 1_200  # held-out images and altered views of them, at most about
ADAM = Settings(optimizer="adam", warmup=0.2, weight_decay=0.0, best_by="loss", device="cpu")
CANDIDATES = (
    replace(ADAM, lr=1e-3, norms="train"),
    replace(ADAM, lr=1e-3, norms="frozen"),
    replace(ADAM, lr=3e-4, norms="frozen"),
)


@dataclass(frozen=True)
class Agreement:
    """How a brick agrees with its source on held-out images and altered views of them.

    `same` is the share of them for which both name the same class, `divergence` the mean Kullback-Leibler divergence
    from the source's probabilities, in nats.
    """

    same: float
    divergence: float


@dataclass(frozen=True)
class TuneReport:
    """What tuning did: in `steps` gradient steps over all runs.

    Kept are the weights after `kept_steps` of the run at learning rate `lr` with batch norms as `norms` says; 0 where
    the brick stays as it was.
    """

    steps: int
    kept_steps: int
    lr: float
    norms: str
    images: int
    held_images: int
    before: Agreement
    after: Agreement

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def tune(
    brick: Brick,
    source: Brick,
    task: Sequence[int],
    images: Tensor,
    held: Tensor,
    steps: int,
    *,
    batch_size: int = 64,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Brick, TuneReport]:
    """Return a copy of a brick whose logits match its source's better, on images without labels; and what was done.

    Adam, its rate rising and then falling on half a cosine, lessens the mean square of the difference of centred logits
    on mirrored and shifted images. Three runs share the steps: a bold rate, batch norms training or frozen, and a
    gentle one, frozen. Kept are the weights, of all runs and at four places in each, that are closest to the source on
    the held-out images, and those from before where none are surely closer (see `training.held_out.helps`).

    Args:
        brick: cut from `source`; stays as it is.
        source: the uncut model.
        task: which of the source's logits the brick's stand for.
        images: to tune on, as the brick reads them before normalising: float `[N, c, h, w]` in [0,1].
        held: other such images, `[M, c, h, w]`, to measure on.
        steps: gradient steps, of all runs together; each has at least four.
        batch_size: images a step.
        seed: of everything random.
        progress: follows the steps; its title says about how many minutes they take.

    Raises:
        DataError: fewer than two images to tune on or to measure on, or no steps.

    Source: Ba and Caruana 2014 (regression on a teacher's logits), Hinton et al. 2015.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> _ = torch.manual_seed(0)
    >>> nets = [torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)) for _ in range(2)]
    >>> source, brick = (whole_brick(net, Preprocess(1, 2, 2), "abc") for net in nets)
    >>> tuned, report = tune(brick, source, range(3), torch.rand(64, 1, 2, 2), torch.rand(32, 1, 2, 2), 80)
    >>> report.after.divergence < report.before.divergence
    True
    """
    if min(len(images), len(held)) < 2:
        raise DataError(f"tuning needs images: {len(images)} were given to tune on and {len(held)} to measure on")
    if steps < 1:
        raise DataError(f"tune for 1 step or more, not {steps}")
    lesson = _lesson(brick, source, task, images, _some(held, MEASURED // 2, seed), seed)
    per_round = math.ceil(steps / len(CANDIDATES) / ROUNDS)
    several = [replace(one, epochs=ROUNDS, batch_size=batch_size, seed=seed) for one in CANDIDATES]
    total = len(several) * ROUNDS * per_round
    runs = [lesson.run(one, per_round) for one in several]
    minutes = math.ceil(_seconds_a_step(runs[0]) * total / 60)
    with progress(f"tune (about {minutes} min)", "steps") as update:
        for number, run in enumerate(runs):
            before = number * ROUNDS * per_round
            run_epochs(run, update=lambda step, _, before=before: update(before + step, total))  # type: ignore[misc]
    best = min(runs, key=lambda run: _agreement(run, run.best_epoch).divergence)
    shown = len(images), lesson.views.shape[1]
    ends = _agreement(best, 0), _agreement(best, best.best_epoch)
    how = best.settings.lr, best.settings.norms
    return best.model, TuneReport(total, best.best_epoch * per_round, *how, *shown, *ends)


@dataclass(frozen=True)
class _Lesson:
    """What a brick learns from: images to tune on, and held-out ones with what the source makes of them.

    `views` is `[V, M, c, h, w]`, the held-out images and altered copies of them, `wanted` `[V, M, C]` the source's
    logits.
    """

    brick: Brick
    source: Brick
    task: Sequence[int]
    images: Tensor
    views: Tensor
    wanted: Tensor

    def run(self, settings: Settings, steps: int) -> "Run[Brick]":
        """Return a run of a copy of the brick; an epoch is so many steps, through all images as often as that takes."""
        model = copy.deepcopy(self.brick)

        def loss(chosen: Tensor, generator: torch.Generator) -> Tensor:
            shown = augmented(self.images[chosen % len(self.images)], Augment(), generator)
            return logit_distance(model(shown).float(), task_logits(self.source, self.task, shown))

        def measure(chosen: Tensor) -> tuple[Tensor, Tensor]:
            found = [torch.cat([model(b).float() for b in view[chosen].split(BATCH)]) for view in self.views]
            parts = [disagreement(own, wanted[chosen]) for own, wanted in zip(found, self.wanted, strict=True)]
            return torch.stack([p[0] for p in parts]).mean(0), torch.stack([p[1] for p in parts]).double().mean(0)

        drawn = torch.arange(steps * settings.batch_size)
        return Run(model, Examples(drawn, torch.arange(self.views.shape[1]), loss, measure), settings)


def _lesson(brick: Brick, source: Brick, task: Sequence[int], images: Tensor, held: Tensor, seed: int) -> _Lesson:
    """Alter the held-out images, the more often the fewer they are, and ask the source once."""
    count = max(0, min(VIEWS, MEASURED // len(held) - 1))
    views = torch.stack([held, *altered_views(held, count=count, seed=seed)])
    return _Lesson(brick, source, task, images, views, torch.stack([task_logits(source, task, v) for v in views]))


def _agreement(run: "Run[Brick]", epoch: int) -> Agreement:
    point = run.curve[epoch]
    return Agreement(point.accuracy or 0.0, point.held_out_loss or 0.0)


def _some(images: Tensor, count: int, seed: int) -> Tensor:
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order[:count].sort().values]


def _seconds_a_step(run: "Run[Brick]") -> float:
    """Return about how long a step takes: one is timed, behind one to warm up."""
    chosen, generator = torch.arange(run.settings.batch_size), torch.Generator().manual_seed(0)
    for _ in range(2):
        start = time.perf_counter()
        run.examples.loss(chosen, generator).backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start

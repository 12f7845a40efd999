"""What else was tried to make two bricks' heads comparable: CIFAR-10 0-2 + CIFAR-100 0-19, uncut ResNet-20s, one seed.

One row an idea: class-balanced accuracy, the share of images
given to the right brick, and accuracy where the brick is known. The last row is a diagnosis and no result: a head
fitted on half of the *test* images, scored on the other half, says what a linear head on these features could reach.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, fx

from experiments.accuracy import PAIRS, PER_CLASS, Accuracy
from experiments.frame.markdown import table
from experiments.frame.registry import ASSEMBLING, Document, Experiment
from experiments.frame.run import Run
from experiments.study.features import head_of
from modellego.assembly.heads import Anchor, Rows, concatenated_head, fit_affine, fit_head, make_rows
from modellego.assembly.heads.convex import Penalty, as_linear, fit_terms, make_problem
from modellego.brick import Brick
from modellego.data import ImageSet
from modellego.data.views import altered_views

PAIR = PAIRS[0]
SEED = 0
# what is pooled from a brick's feature maps: the mean of the last stage is what its own head reads
PARTS = {"mean": slice(0, 64), "rms": slice(64, 128), "max": slice(128, 192), "stage 2": slice(192, 256)}
FIXED = Penalty(0.002, 0.1)


class _Stages(fx.Interpreter):
    """Runs a ResNet and keeps the last feature map of each size."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.last: dict[int, Tensor] = {}

    def run_node(self, node: fx.Node) -> Any:
        """Run a node and note its feature map."""
        value = super().run_node(node)
        if isinstance(value, Tensor) and value.dim() == 4:
            self.last[value.shape[2]] = value
        return value


@torch.no_grad()
def pooled(brick: Brick, images: Tensor) -> Tensor:
    """Return all that `PARTS` names, float [N, 256]."""
    found = []
    for block in images.split(200):  # type: ignore[no-untyped-call]
        walk = _Stages(brick.network.eval())
        walk.run(brick.prepare(block))
        late, middle = walk.last[8].flatten(2), walk.last[16].flatten(2)
        parts = [
            late.mean(2),
            late.square().mean(2).sqrt(),
            late.amax(2),
            middle.mean(2),
            middle.square().mean(2).sqrt(),
        ]
        found.append(torch.cat(parts, 1))
    return torch.cat(found)


class Ideas:
    """Features of calibration and test images, worked out once."""

    def __init__(self, bench: Accuracy) -> None:
        self.bricks = bench.pieces(PAIR, "ResNet-20", SEED)
        self.classes = tuple(c for b in self.bricks for c in b.classes)
        self.first = len(self.bricks[0].classes)
        self.calibration = self._views(bench.calibration(PAIR, SEED).for_model(self.classes), 6)
        self.tested = self._views(bench.test(list(PER_CLASS), self.classes), 0)

    def _views(self, images: ImageSet, count: int) -> tuple[list[list[Tensor]], Tensor]:
        shown = images.images(range(len(images)))
        views = [shown, *altered_views(shown, count=count, seed=SEED)]
        return [[pooled(b, v) for b in self.bricks] for v in views], torch.from_numpy(images.labels)

    def rows(self, which: tuple[list[list[Tensor]], Tensor], parts: Sequence[str], views: int) -> Rows:
        """Return rows of some parts of the features and some views."""
        chosen = [[torch.cat([f[:, PARTS[p]] for p in parts], 1) for f in view] for view in which[0][: views + 1]]
        return make_rows(chosen, which[1])

    def anchor(self, parts: Sequence[str]) -> Anchor:
        """Return the bricks' own heads, zero on what they do not read."""
        heads = []
        for brick in self.bricks:
            weight, bias = head_of(brick).parameters()
            heads.append((torch.cat([weight, weight.new_zeros(len(weight), 64 * (len(parts) - 1))], 1), bias))
        return concatenated_head(heads)

    def scores(self, logits: Tensor, labels: Tensor) -> dict[str, float]:
        """Balanced accuracy: of the classes, of which brick, and of the classes where the brick is known."""
        own = torch.arange(logits.shape[1]) < self.first
        told = logits.masked_fill((labels < self.first)[:, None] != own[None], -torch.inf)
        side = (logits.argmax(1) < self.first) == (labels < self.first)
        return {
            "balanced_accuracy": _balanced(logits.argmax(1) == labels, labels),
            "right_brick": _balanced(side, labels),
            "brick_known": _balanced(told.argmax(1) == labels, labels),
        }

    def concatenated(self) -> dict[str, float]:
        """Score the concatenated head."""
        test = self.rows(self.tested, ["mean"], 0)
        return self.scores(self.anchor(["mean"]).logits(test.columns), test.labels)

    def affine(self) -> dict[str, float]:
        """Score one scale and shift per class."""
        test, anchor = self.rows(self.tested, ["mean"], 0), self.anchor(["mean"])
        found = fit_affine(self.rows(self.calibration, ["mean"], 3), anchor, seed=SEED)
        return self.scores(anchor.logits(test.columns) * found.scale + found.shift, test.labels)

    def head(self, parts: Sequence[str], views: int) -> dict[str, float]:
        """Score the cross-validated head on some features and views."""
        test = self.rows(self.tested, parts, 0)
        found = fit_head(self.rows(self.calibration, parts, views), self.anchor(parts), seed=SEED)
        return self.scores(test.columns @ found.weight.T + found.bias, test.labels)

    def kernel(self) -> dict[str, float]:
        """Score a kernel machine that only says which brick, the concatenated head doing the rest."""
        test, anchor = self.rows(self.tested, ["mean"], 0), self.anchor(["mean"])
        rows = self.rows(self.calibration, ["mean"], 3)
        mine = (rows.labels < self.first).numpy()
        share = self.first / len(self.classes)
        weights = {True: share / mine.mean(), False: (1 - share) / (1 - mine.mean())}
        machine = make_pipeline(StandardScaler(), SVC(C=3.0, gamma=0.3 / rows.columns.shape[1], class_weight=weights))
        machine.fit(rows.columns.numpy(), mine)
        says = torch.from_numpy(np.asarray(machine.predict(test.columns.numpy()), dtype=bool))
        own = torch.arange(len(self.classes)) < self.first
        logits = anchor.logits(test.columns).masked_fill(says[:, None] != own[None], -1e9)
        return self.scores(logits, test.labels)

    def half_of_test(self) -> dict[str, float]:
        """Fit a head on half of the test images, score it on the other half: no result, a bound."""
        test, anchor = self.rows(self.tested, ["mean"], 0), self.anchor(["mean"])
        half = torch.rand(len(test), generator=torch.Generator().manual_seed(SEED)) < 0.5
        problem = make_problem(test.where(half), anchor)
        weight, bias = as_linear(fit_terms(problem, FIXED, iterations=60), problem)
        other = test.where(~half)
        before = self.scores(anchor.logits(other.columns), other.labels)["balanced_accuracy"]
        after = self.scores(other.columns.double() @ weight.T + bias, other.labels)
        return {**after, "concatenated_on_that_half": before}


def _balanced(hits: Tensor, labels: Tensor) -> float:
    return float(torch.stack([hits[labels == k].double().mean() for k in torch.unique(labels)]).mean())


def run(run: Run) -> None:
    """Score each idea."""
    ideas = Ideas(Accuracy(run.sources))
    run.row("concatenated", ideas.concatenated)
    run.row("affine", ideas.affine)
    run.row("head (as offered)", partial(ideas.head, ["mean"], 3))
    run.row("head without altered views", partial(ideas.head, ["mean"], 0))
    run.row("head, six altered views", partial(ideas.head, ["mean"], 6))
    run.row("head, features' rms and maximum too", partial(ideas.head, ["mean", "rms", "max"], 3))
    run.row("head, stage 2's features too", partial(ideas.head, ["mean", "stage 2"], 3))
    run.row("kernel machine for the brick", ideas.kernel)
    run.row("diagnosis: head fitted on half of the test images", ideas.half_of_test)


def section(document: Document) -> str:
    """Return the section on what else was tried for the heads."""
    rows: dict[str, dict[str, Any]] = document["rows"]
    keys = ("balanced_accuracy", "right_brick", "brick_known")
    lines = [[name, *(f"{100 * r[k]:.2f}" for k in keys)] for name, r in rows.items()]
    bound = next((r for name, r in rows.items() if name.startswith("diagnosis")), None)
    text = (
        "CIFAR-10 0-2 + CIFAR-100 0-19, uncut ResNet-20s, one seed, class-balanced. *Right brick*: the share of images "
        "whose answer comes from the brick that knows their class; *brick known*: accuracy with the other brick's "
        "logits left out."
    )
    parts = [text, table(["idea", "accuracy", "right brick", "brick known"], lines)]
    parts.append(
        "One choice was made with such rows in sight: the penalty on the shifts of single classes was raised from "
        "1e-4 to 1e-2. Held-out calibration images under altered views agreed, but the test scores of the first pair "
        "were printed beside them. Before and after, seed 0: 83.56 to 83.57, 75.28 to 75.60, 69.82 to 70.01; the "
        "assembled rows above may flatter the head by that much."
    )
    if bound is not None:
        parts.append(
            "The last row is no result but a diagnosis: its head was fitted on half of the test images and scored on "
            f"the other half, where plain concatenation has {100 * bound['concatenated_on_that_half']:.2f}. A linear "
            "head on these features, given images that the sources have never seen, gains "
            f"{100 * (bound['balanced_accuracy'] - bound['concatenated_on_that_half']):.2f} points; that is about "
            "where the head as offered ends too."
        )
    return "\n\n".join(parts)


EXPERIMENT = Experiment(
    title="What else was tried for the heads",
    run=run,
    section=section,
    measures=ASSEMBLING,
    settings=lambda run: {"classes": list(PAIR), "seed": SEED, "per_class": PER_CLASS},
)

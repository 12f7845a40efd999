"""What else was tried to make two bricks' heads comparable: CIFAR-10 0-2 + CIFAR-100 0-19, uncut ResNet-20s, one seed.

Run `python benchmarks/head_ideas.py [--shared DIR]`. One row an idea: class-balanced accuracy, the share of images
given to the right brick, and accuracy where the brick is known. The last row is a diagnosis and no result: a head
fitted on half of the *test* images, scored on the other half, says what a linear head on these features could reach.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, fx

from accuracy import PAIRS, PER_CLASS, Accuracy
from modellego.assembly.calibrate import ends_in_features
from modellego.assembly.heads import Anchor, Rows, altered_views, concatenated_head, fit_affine, fit_head, make_rows
from modellego.assembly.heads.convex import Penalty, as_linear, fit_terms, make_problem
from modellego.brick import Brick
from modellego.data import ImageSet
from published import SHARED
from record import RESULTS, Record

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
            weight, bias = ends_in_features(brick)[1]
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
        """Score one scale and shift a class."""
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
        after = self.scores(other.columns @ weight.T + bias, other.labels)
        return {**after, "concatenated_on_that_half": before}


def _balanced(hits: Tensor, labels: Tensor) -> float:
    return float(torch.stack([hits[labels == k].double().mean() for k in labels.unique()]).mean())


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ and models/")
    words.add_argument("--out", type=Path, default=RESULTS / "head_ideas.json")
    said = words.parse_args()
    record = Record(said.out, {"classes": list(PAIR), "seed": SEED, "per_class": PER_CLASS})
    ideas = Ideas(Accuracy(said.shared))
    record.row("concatenated", ideas.concatenated)
    record.row("affine", ideas.affine)
    record.row("head (as offered)", partial(ideas.head, ["mean"], 3))
    record.row("head without altered views", partial(ideas.head, ["mean"], 0))
    record.row("head, six altered views", partial(ideas.head, ["mean"], 6))
    record.row("head, features' rms and maximum too", partial(ideas.head, ["mean", "rms", "max"], 3))
    record.row("head, stage 2's features too", partial(ideas.head, ["mean", "stage 2"], 3))
    record.row("kernel machine for the brick", ideas.kernel)
    record.row("diagnosis: head fitted on half of the test images", ideas.half_of_test)
    record.write()


if __name__ == "__main__":
    main()

"""Saying "none of these": reject rules of bricks of published ResNet-20s, thresholds from train images, scored on test.

Run `python benchmarks/reject.py [--shared DIR]` (again, to resume); `--off N` images of other classes a row.
"""

import argparse
from pathlib import Path
from typing import Any, get_args

import numpy as np

from modellego.assemble import assemble
from modellego.assemble.reject import HELD, KEEP, add_reject_rule
from modellego.assemble.samples import other_samples
from modellego.brick import Assembled, Brick, confidence
from modellego.brick.reject import Statistic
from modellego.data import Data, ImageSet, merged
from modellego.disassemble import disassemble
from modellego.evaluate import auroc, logits_of, rejection, score
from modellego.locate import Budget
from published import SHARED, Bench
from record import RESULTS, Record


def some(images: ImageSet, count: int, seed: int) -> ImageSet:
    """Draw some images, in their order."""
    return images.subset(np.sort(np.random.default_rng(seed).permutation(len(images))[:count]))


def others(images: ImageSet, classes: tuple[str, ...]) -> ImageSet:
    """Return the images of classes a model does not have."""
    unknown = [k for k, name in enumerate(images.classes) if name not in classes]
    return images.subset(np.flatnonzero(np.isin(images.labels, unknown)))


def measured(model: Brick | Assembled, data: Data, taken: int, off: int, seed: int) -> dict[str, Any]:
    """Score every statistic's rule, its threshold from train images alone, on test images on and off the task."""
    assert data.test is not None
    held = other_samples(data.train, model.classes, HELD, taken, seed)
    on, away = data.test.for_model(model.classes), some(others(data.test, model.classes), off, seed)
    on_logits, off_logits = logits_of(model, on), logits_of(model, away)
    found: dict[str, Any] = {"classes": len(model.classes), "images": len(on), "off_images": len(away)}
    found["accuracy"] = score(on_logits, on.labels).accuracy
    for statistic in get_args(Statistic):
        sides = [confidence(x.double(), statistic).numpy() for x in (on_logits, off_logits)]
        row: dict[str, Any] = {"auroc": auroc(*sides)}
        for views in (0, 1, 3):
            add_reject_rule(model, held, KEEP, statistic, views=views, seed=seed)
            rule = rejection(model, on_logits, on.labels)
            assert rule is not None
            away_share = float(model.predict_reject(off_logits).double().mean())
            row[f"views {views}"] = {**vars(rule), "rejected_off": away_share}
        found[statistic] = row
    return found


def main() -> None:
    """Measure every row that is not there yet."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--shared", type=Path, default=SHARED)
    words.add_argument("--off", type=int, default=2000)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--out", type=Path, default=RESULTS / "reject.json")
    given = words.parse_args()
    bench = Bench(given.shared, None, given.seed)
    record = Record(given.out, {"off": given.off, "seed": given.seed, "keep": KEEP, "held": HELD})

    def brick(task: str, share: float) -> dict[str, Any]:
        data = bench.data("cifar10")
        made = disassemble(bench.source("cifar10_resnet20"), data.train, task, budget=Budget(macs=share))
        return measured(made, data, 0, given.off, given.seed)

    def joined() -> dict[str, Any]:
        sets = [bench.data(name) for name in ("cifar10", "cifar100")]
        tests = [s.test for s in sets if s.test is not None]
        data = Data(merged([s.train for s in sets]), merged(tests))
        pieces = [
            disassemble(bench.source(f"{name}_resnet20"), part.train, task, budget=Budget(macs=0.75))
            for name, part, task in zip(("cifar10", "cifar100"), sets, ("0-2", "0-19"), strict=True)
        ]
        made = assemble(pieces, calibrate="head", data=data, seed=given.seed)
        return measured(made, data, 50, given.off, given.seed)

    record.row("CIFAR-10 0-2, three quarters of the MACs", lambda: brick("0-2", 0.75))
    record.row("CIFAR-10 3, three quarters of the MACs", lambda: brick("3", 0.75))
    record.row("C10 0-2 + C100 0-19, calibrated head", joined)


if __name__ == "__main__":
    main()

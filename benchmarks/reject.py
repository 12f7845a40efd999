"""Saying "none of these": reject rules of bricks of published ResNet-20s, thresholds from train images, scored on test.

Run `python benchmarks/reject.py [--shared DIR]` (again, to resume); `--images N` test images a side of each row.
"""

import argparse
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from modellego.assembly import assemble
from modellego.assembly.heads import altered_views, choose_threshold
from modellego.assembly.samples import PER_CLASS, other_samples
from modellego.brick import Assembled, Brick, confidence
from modellego.brick.reject_rule import Statistic
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.data import Data, ImageSet, merged, resolve_classes
from modellego.disassembly.choose import draw_images
from modellego.disassembly.verb import REFIT_IMAGES, disassemble
from modellego.evaluation import auroc, logits_of, off_task_images
from modellego.locate import Budget
from modellego.rejection.rule import HELD, KEEP
from published import SHARED, Bench
from record import RESULTS, Record

VIEWS = (0, 1, 3)  # altered views of each held-out image that the threshold is taken from as well


def some(images: ImageSet, count: int, seed: int) -> ImageSet:
    """Draw some images, in their order."""
    return images.subset(np.sort(np.random.default_rng(seed).permutation(len(images))[:count]))


@torch.no_grad()
def views_of(model: Brick | Assembled, images: ImageSet, count: int, seed: int) -> list[torch.Tensor]:
    """Return the logits of images as they are, and of each of their altered views."""
    found: list[list[torch.Tensor]] = [[] for _ in range(count + 1)]
    for number, (batch, _) in enumerate(images.batches(100)):
        for view, shown in enumerate((batch, *altered_views(batch, count=count, seed=seed + number))):
            found[view].append(model(shown))
    return [torch.cat(view) for view in found]


def measured(model: Brick | Assembled, data: Data, taken: int, images: int, seed: int) -> dict[str, Any]:
    """Score every statistic's rule, its threshold from train images alone, on test images on and off the task."""
    assert data.test is not None
    held = other_samples(data.train, model.classes, HELD, taken, seed)
    on = some(data.test.for_model(model.classes), images, seed)
    away = some(off_task_images(model, data.test), images, seed)
    on_logits, off_logits, seen = logits_of(model, on), logits_of(model, away), views_of(model, held, VIEWS[-1], seed)
    right = on_logits.argmax(1) == torch.from_numpy(on.labels)
    found: dict[str, Any] = {"classes": len(model.classes), "on_images": len(on), "off_images": len(away)}
    found |= {"held_images": len(held), "accuracy": float(right.double().mean())}
    for statistic in get_args(Statistic):
        sides = [confidence(x.double(), statistic) for x in (on_logits, off_logits)]
        row: dict[str, Any] = {"auroc": auroc(*(s.numpy() for s in sides))}
        for views in VIEWS:
            known = torch.cat([confidence(x.double(), statistic) for x in seen[: views + 1]])
            threshold = choose_threshold(known, KEEP, torch.from_numpy(held.labels).repeat(views + 1))
            kept, away_kept = (s >= threshold for s in sides)
            row[f"views {views}"] = {
                "answered_on": float(kept.double().mean()),
                "rejected_off": float((~away_kept).double().mean()),
                "accuracy": float((right & kept).double().mean()),
                "accuracy_answered": float(right[kept].double().mean()),
            }
        found[statistic] = row
    return found


def main() -> None:
    """Measure every row that is not there yet."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--shared", type=Path, default=SHARED)
    words.add_argument("--images", type=int, default=1000)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--out", type=Path, default=RESULTS / "reject.json")
    given = words.parse_args()
    bench = Bench(given.shared, None, given.seed)
    record = Record(given.out, {"images": given.images, "seed": given.seed, "keep": KEEP, "held": HELD})

    def brick(task: str) -> dict[str, Any]:
        data, source = bench.data("cifar10"), bench.source("cifar10_resnet20")
        chosen = [data.train.of_class(k)[:500] for k in resolve_classes(task, data.classes)]
        train = data.train.subset(np.concatenate(chosen))
        made = disassemble(source, train, task, budget=Budget(macs=0.75), seed=given.seed)
        unseen = draw_images(train, resolve_classes(task, data.classes), REFIT_IMAGES, given.seed)[1]
        return measured(made, Data(unseen, data.test), 0, given.images, given.seed)

    def joined() -> dict[str, Any]:
        sets = [bench.data(name) for name in ("cifar10", "cifar100")]
        tests = [s.test for s in sets if s.test is not None]
        data = Data(merged([s.train for s in sets]), merged(tests))
        pieces = [uncut(bench.source("cifar10_resnet20"), "0-2"), uncut(bench.source("cifar100_resnet20"), "0-19")]
        made = assemble(pieces, calibrate="head", data=data, seed=given.seed)
        return measured(made, data, PER_CLASS, given.images, given.seed)

    record.row("CIFAR-10 0-2, three quarters of the MACs", lambda: brick("0-2"))
    record.row("CIFAR-10 3, three quarters of the MACs", lambda: brick("3"))
    record.row("CIFAR-10 0-2 + CIFAR-100 0-19, uncut, calibrated head", joined)


def uncut(whole: Brick, task: str) -> Brick:
    """Return a source model with a task's logits only."""
    network = whole.captured()
    channels, logits = analyse(network), resolve_classes(task, whole.classes)
    info = whole.info.changed(classes=tuple(whole.classes[k] for k in logits), sources=())
    return Brick(cut(plan_cut(network, channels, channels.keep_all(), logits)).graph, info)


if __name__ == "__main__":
    main()

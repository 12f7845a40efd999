"""Published CIFAR ResNets: scored, taken apart at the paper's thresholds, and assembled, into one JSON file.

Run `python benchmarks/published.py [--shared DIR]` (again, to resume); `--limit N` images a split is for development.
"""

import argparse
import os
from functools import partial
from pathlib import Path
from typing import Any

import torch

from modellego.assembly import assemble
from modellego.brick import Assembled, Brick
from modellego.channels import analyse
from modellego.contribution.relevance import Thresholds
from modellego.cut import cut
from modellego.data import Data, ImageSet, load_data, resolve_classes
from modellego.disassembly.verb import disassemble
from modellego.evaluation import cost, logits_of, restricted, score
from modellego.paper.sources import Sources
from record import RESULTS, Record

SHARED = Path(os.environ.get("MODELLEGO_SHARED", Path(__file__).resolve().parents[2] / "shared"))
# top-1 on the full test set, per cent, as the models' own page in ../shared states it
STATED = {"cifar10_resnet20": 92.60, "cifar10_resnet32": 93.53, "cifar100_resnet20": 68.83, "cifar100_resnet32": 70.16}
TASKS = (("cifar10", "0-2"), ("cifar10", "3-9"), ("cifar100", "0-19"), ("cifar100", "20-69"))
RULES = ("poster", "back_to_front")
LAYOUTS = ("parallel", "padded")
SCALES = ("none", "logits", "layers")


class Bench:
    """The shared folder, opened once: data sets and whole source models."""

    def __init__(self, shared: Path, limit: int | None, seed: int) -> None:
        self.seed = seed
        opened = Sources(shared, limit)
        self.data, self.source = opened.data, opened.published

    def scored(self, name: str) -> dict[str, Any]:
        """Score a whole model on the full test set."""
        source, test = self.source(name), self.data(name.split("_", maxsplit=1)[0]).test
        assert test is not None
        found, spent = score(logits_of(source, test), test.labels), cost(source)
        return {
            "accuracy": found.accuracy,
            "stated": STATED[name],
            "images": found.images,
            "macs": spent.macs,
            "parameters": spent.parameters,
        }

    def taken_apart(self, dataset: str, classes: str, rule: str, refit: bool) -> dict[str, Any]:
        """Disassemble a task from ResNet-20 at the paper's thresholds."""
        brick = disassemble(
            self.source(f"{dataset}_resnet20"),
            self.data(dataset),
            classes,
            thresholds=Thresholds(rule=rule),  # type: ignore[arg-type]
            seed=self.seed,
            **({} if refit else {"refit_images": 0}),
        )
        assert brick.info.cut is not None
        kept = {"kept_groups": brick.info.cut.kept, "sets": brick.info.cut.total, "notes": brick.info.notes}
        return {**brick.info.scores, **kept}

    def uncut(self, dataset: str, classes: str) -> Brick:
        """Return ResNet-20 with nothing cut but the logits of other classes."""
        source = self.source(f"{dataset}_resnet20")
        task = resolve_classes(classes, source.classes)
        network = source.captured()
        channels = analyse(network)
        small = cut(network, channels, channels.keep_all(), task)
        (lineage,) = source.info.sources
        names = tuple(source.classes[k] for k in task)
        lineage = lineage.model_copy(update={"classes": names, "of": tuple(task)})
        return Brick(small.graph, source.info.changed(classes=names, sources=(lineage,)))

    def pair(self) -> tuple[list[Brick], Data, ImageSet]:
        """Return the bricks to assemble, the images to choose from, and those to score on, in the new classes."""
        bricks = [self.uncut("cifar10", "0-9"), self.uncut("cifar100", "20-99")]
        both = load_data([self.data("cifar10"), self.data("cifar100")])
        assert both.test is not None
        names = [c for b in bricks for c in b.classes]
        return bricks, both, both.test.for_model(names)

    def before(self) -> dict[str, Any]:
        """Base and base restricted of the pair: the sources' own accuracies, the mean over all 90 classes."""
        bricks, both, _ = self.pair()
        assert both.test is not None
        base = inside = 0.0
        total = sum(len(b.classes) for b in bricks)
        for brick, dataset in zip(bricks, ("cifar10", "cifar100"), strict=True):
            source = self.source(f"{dataset}_resnet20")
            task = resolve_classes([source.classes.index(c) for c in brick.classes], source.classes)
            test = both.test.for_model(brick.classes)
            found = restricted(logits_of(source, test), task, test.labels)
            base += found[0] * len(task) / total
            inside += found[1] * len(task) / total
        return {"base_accuracy": base, "base_restricted_accuracy": inside, "classes": total}

    def assembled(self, layout: str, scale: str) -> dict[str, Any]:
        """Assemble the pair and score it on all images of its 90 classes."""
        bricks, both, test = self.pair()
        scaling = None if scale == "none" else scale
        new: Brick | Assembled = assemble(bricks, layout=layout, scale=scaling, data=both, seed=self.seed)  # type: ignore[arg-type]
        found, spent = score(logits_of(new, test), test.labels), cost(new)
        return {
            "accuracy": found.accuracy,
            "balanced_accuracy": found.balanced_accuracy,
            "images": found.images,
            "macs": spent.macs,
            "parameters": spent.parameters,
            "classes": len(new.classes),
        }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ and models/")
    words.add_argument("--limit", type=int, help="images a split, for development")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--out", type=Path, default=RESULTS / "published.json")
    said = words.parse_args()
    torch.manual_seed(said.seed)
    bench = Bench(said.shared, said.limit, said.seed)
    record = Record(said.out, {"seed": said.seed, "limit": said.limit})
    for name in STATED:
        record.row(f"score {name}", partial(bench.scored, name))
    record.row("assemble base", bench.before)
    for dataset, classes in TASKS:
        for rule in RULES:
            for refit in (False, True):
                key = f"disassemble {dataset} {classes} {rule} {'refit' if refit else 'cut alone'}"
                record.row(key, partial(bench.taken_apart, dataset, classes, rule, refit))
    for layout in LAYOUTS:
        for scale in SCALES:
            record.row(f"assemble {layout} {scale}", partial(bench.assembled, layout, scale))
    record.write()


if __name__ == "__main__":
    main()

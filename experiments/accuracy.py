"""Accuracy without training, three calibration seeds: bricks at 0.75 and 0.50 of the MACs, and assembled models.

Calibration images are drawn from the train shards, 200 per class of CIFAR-10 and 50 of CIFAR-100; the test split is
read for the scores alone.
"""

import argparse
import time
from collections.abc import Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.frame.markdown import table
from experiments.frame.registry import ASSEMBLING, Document, Experiment
from experiments.frame.run import Run
from experiments.published import TASKS
from experiments.study.bricks import uncut
from experiments.study.features import features_of, head_of
from experiments.study.sources import Sources
from modellego.assembly import assemble
from modellego.brick import Assembled, Brick
from modellego.data import Data, ImageSet, load_data, resolve_classes
from modellego.disassembly.verb import disassemble
from modellego.evaluation import cost, logits_of, restricted, score
from modellego.finetuning import finetune
from modellego.locate import Budget
from modellego.training import Settings

SHARES = (0.75, 0.5)
SEEDS = (0, 1, 2)
PER_CLASS = {"cifar10": 200, "cifar100": 50}
PAIRS = (("0-2", "0-19"), ("3-9", "20-69"), ("0-9", "20-99"))
# which ResNet the CIFAR-10 and the CIFAR-100 brick comes from, and the share of its MACs (1: uncut)
VARIANTS = {
    "ResNet-20": (20, 20, 1.0),
    "ResNet-20 at 0.75": (20, 20, 0.75),
    "ResNet-32": (32, 32, 1.0),
    "ResNet-20 + ResNet-32": (20, 32, 1.0),
}
CRITERION = "reconstruction"
PARTS = ("bricks", "assembled", "finetuned", "timed")
Rows = dict[str, dict[str, Any]]

# what the project set out to reach, per cent: (task, at 0.75, at 0.5) and (pair, with a calibrated head)
WANTED_BRICKS = {
    "cifar10 0-2": (98.0, 97.0),
    "cifar10 3-9": (93.0, 89.0),
    "cifar100 0-19": (82.0, 74.0),
    "cifar100 20-69": (73.0, 62.0),
}
WANTED_ASSEMBLED = {"0-2 + 0-19": 84.5, "3-9 + 20-69": 76.0, "0-9 + 20-99": 71.0}
METHODS = ("none", "prior", "affine", "head")


class Accuracy:
    """Bricks and assembled models of the published ResNets, made from few calibration images."""

    def __init__(self, sources: Sources) -> None:
        self.data, self.source = sources.data, sources.published
        self.columns = cache(self._columns)
        self.features = cache(self._features)
        self.piece = cache(self._piece)

    def brick(self, name: str, classes: str, share: float, seed: int) -> tuple[Brick, dict[str, Any]]:
        """Cut a brick to a share of the source's MACs and refit it; returns it and what that took."""
        dataset = name.split("_", maxsplit=1)[0]
        source, train = self.source(name), self.data(dataset).train
        wall, spent = time.perf_counter(), time.process_time()
        made = disassemble(
            source,
            Data(train),
            classes,
            budget=Budget(macs=share),
            criterion=CRITERION,
            refit_images=PER_CLASS[dataset],
            seed=seed,
        )
        took = {"made_wall_s": time.perf_counter() - wall, "made_cpu_s": time.process_time() - spent}
        return made, {k: round(v, 2) for k, v in took.items()}

    def brick_row(self, dataset: str, classes: str, share: float, seed: int) -> dict[str, Any]:
        """Score a brick beside its source, whole and restricted to the task."""
        name = f"{dataset}_resnet20"
        made, took = self.brick(name, classes, share, seed)
        found = self.scored(made, dataset)
        base, inside = self.base(name, classes)
        macs = cost(made).macs / cost(self.source(name)).macs
        return {
            "base": base,
            "restricted": inside,
            **found,
            "macs": macs,
            "images": self.drawn(dataset, classes),
            **took,
        }

    def timed(self, dataset: str, classes: str) -> dict[str, Any]:
        """Time choosing, refitting and measuring one brick, with all threads the machine gives."""
        _, took = self.brick(f"{dataset}_resnet20", classes, SHARES[1], SEEDS[0])
        return {**took, "threads": torch.get_num_threads(), "images": self.drawn(dataset, classes)}

    def drawn(self, dataset: str, classes: str) -> int:
        """Return how many calibration images a task has."""
        return PER_CLASS[dataset] * len(resolve_classes(classes, self.data(dataset).classes))

    def scored(self, model: Brick | Assembled, dataset: str) -> dict[str, float]:
        """Score a model on the test images of its own classes."""
        test = self.test([dataset], model.classes)
        found = score(logits_of(model, test), test.labels)
        return {"accuracy": found.accuracy, "balanced_accuracy": found.balanced_accuracy}

    def test(self, datasets: list[str], classes: tuple[str, ...]) -> ImageSet:
        """Return the test images of some classes (none: of all), the data sets one after the other."""
        both = load_data([self.data(d) for d in datasets])
        assert both.test is not None
        return both.test.for_model(classes) if classes else both.test

    def base(self, name: str, classes: str) -> tuple[float, float]:
        """Return a source's accuracy on a task's test images with all its logits, and with the task's."""
        source = self.source(name)
        task = resolve_classes(classes, source.classes)
        test = self.test([name.split("_", maxsplit=1)[0]], tuple(source.classes[k] for k in task))
        features, weight, bias = self.whole(name, test)
        return restricted(features @ weight.T + bias, list(task), test.labels)

    def whole(self, name: str, test: ImageSet) -> tuple[Tensor, Tensor, Tensor]:
        """Return a source's features on test images of some classes, and its head; it runs over all images once."""
        everything = self.test(list(PER_CLASS), ())
        rows = np.flatnonzero(np.isin(np.asarray(everything.classes)[everything.labels], test.classes))
        features, weight, bias = self.features(name)
        if not np.array_equal(np.asarray(everything.classes)[everything.labels[rows]], _named(test)):
            raise RuntimeError("the kept features are not those of these images")
        return features[torch.from_numpy(rows)], weight, bias

    def _features(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        source = self.source(name)
        return features_of(source, self.test(list(PER_CLASS), ())), *head_of(source).parameters()

    def _piece(self, name: str, classes: str, share: float, seed: int) -> Brick:
        """Return a brick to assemble; an uncut one keeps all channels and the task's logits."""
        if share < 1:
            return self.brick(name, classes, share, seed)[0]
        return uncut(self.source(name), classes)

    def pieces(self, pair: tuple[str, str], variant: str, seed: int) -> list[Brick]:
        """Return the two bricks of a row."""
        *depths, share = VARIANTS[variant]
        names = [f"{d}_resnet{n}" for d, n in zip(PER_CLASS, depths, strict=True)]
        return [self.piece(n, c, share, seed if share < 1 else 0) for n, c in zip(names, pair, strict=True)]

    def base_row(self, pair: tuple[str, str], variant: str) -> dict[str, Any]:
        """Mean over all classes of the sources' own accuracies: base and base restricted."""
        base = inside = 0.0
        total = 0
        for dataset, depth, classes in zip(PER_CLASS, VARIANTS[variant][:2], pair, strict=True):
            count = len(resolve_classes(classes, self.data(dataset).classes))
            found = self.base(f"{dataset}_resnet{depth}", classes)
            base, inside, total = base + found[0] * count, inside + found[1] * count, total + count
        return {"base": base / total, "restricted": inside / total, "classes": total}

    def calibration(self, pair: tuple[str, str], seed: int) -> ImageSet:
        """Draw the calibration images of a row from the train shards, labelled by the assembled model's classes."""
        random = np.random.default_rng(seed)
        parts = []
        for dataset, classes in zip(PER_CLASS, pair, strict=True):
            train = self.data(dataset).train
            task = resolve_classes(classes, self.data(dataset).classes)
            picked = [random.permutation(train.of_class(k))[: PER_CLASS[dataset]] for k in task]
            parts.append(Data(train.subset(np.sort(np.concatenate(picked)))))
        return load_data(parts).train

    def assembled(self, pair: tuple[str, str], variant: str, method: str, seed: int) -> Assembled:
        """Assemble the two bricks of a row."""
        images = self.calibration(pair, seed) if method != "none" else None
        bricks = self.pieces(pair, variant, seed)
        calibrate = None if method == "none" else method
        made = assemble(bricks, calibrate=calibrate, data=images, per_class=None, seed=seed)
        assert isinstance(made, Assembled)
        return made

    def assembled_row(self, pair: tuple[str, str], variant: str, method: str, seed: int) -> dict[str, Any]:
        """Score an assembled model on the test images of all its classes."""
        start = time.perf_counter()
        model = self.assembled(pair, variant, method, seed)
        took = time.perf_counter() - start
        test = self.test(list(PER_CLASS), model.classes)
        share = VARIANTS[variant][2]
        logits = self.logits(model, test, (pair, variant, seed if share < 1 else 0))
        found = score(logits, test.labels)
        notes = model.info.notes
        return {
            "accuracy": found.accuracy,
            "balanced_accuracy": found.balanced_accuracy,
            "notes": notes,
            "calibrated_wall_s": round(took, 2),
        }

    def logits(self, model: Assembled, test: ImageSet, key: tuple[Any, ...]) -> Tensor:
        """Return an assembled model's logits on the test images; each brick runs once for all calibrations of a row."""
        columns = [
            features if read == "features" else features @ weight.T + bias
            for (features, weight, bias), (_, read, _) in zip(self.columns(*key), model.parts, strict=True)
        ]
        with torch.no_grad():
            found: Tensor = model.joint(torch.cat(columns, 1))
        every = max(1, len(test) // 50)
        some = test.subset(np.arange(0, len(test), every))
        if not torch.allclose(found[::every], logits_of(model, some), atol=1e-3):
            raise RuntimeError("the kept columns are not those of the assembled model")
        return found

    def _columns(self, pair: tuple[str, str], variant: str, seed: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return for each brick of a row its features on the row's test images, and its own head."""
        bricks = self.pieces(pair, variant, seed)
        test = self.test(list(PER_CLASS), tuple(c for b in bricks for c in b.classes))
        found = []
        for brick, dataset, depth in zip(bricks, PER_CLASS, VARIANTS[variant][:2], strict=True):
            if VARIANTS[variant][2] < 1:
                features = features_of(brick, test)
            else:  # an uncut brick's features are its source's
                features = self.whole(f"{dataset}_resnet{depth}", test)[0]
            found.append((features, *head_of(brick).parameters()))
        return found

    def finetuned(self, pair: tuple[str, str], variant: str, epochs: int, seed: int, folder: Path) -> dict[str, Any]:
        """Score 2: the concatenated model after some epochs on the train shards."""
        model = self.assembled(pair, variant, "none", seed)
        train = load_data([Data(self.data(d).train) for d in PER_CLASS])
        file = folder / "accuracy.finetune.ckpt"
        settings = Settings(epochs=epochs, keep="last", seed=seed)
        done = finetune(model, train, settings=settings, checkpoint=file, resume=file.exists())
        file.unlink(missing_ok=True)
        test = self.test(list(PER_CLASS), done.model.classes)
        found = score(logits_of(done.model, test), test.labels)
        curve = [p.accuracy for p in done.curve]
        return {
            "accuracy": found.accuracy,
            "balanced_accuracy": found.balanced_accuracy,
            "epochs": epochs,
            "train_images": done.train_images,
            "held_out_curve": curve,
        }


def _named(images: ImageSet) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    return np.asarray(images.classes)[images.labels]


def assembled_rows(bench: Accuracy, run: Run) -> None:
    """Work out the second table."""
    for variant, pair in product(VARIANTS, PAIRS):
        run.row(f"base {pair[0]} + {pair[1]} {variant}", partial(bench.base_row, pair, variant))
    first = list(VARIANTS)[:2]  # after the first seed of all rows come all seeds of these, then the rest
    order = sorted(product(SEEDS, VARIANTS, PAIRS), key=lambda row: (row[0] > 0) + (row[0] > 0 and row[1] not in first))
    for seed, variant, pair in order:
        methods = ["head"]
        if variant == "ResNet-20" and seed == 0:
            methods += ["affine", "prior"]
        if VARIANTS[variant][2] < 1 or seed == 0:  # an uncut, concatenated model is the same for all seeds
            methods += ["none"]
        for method in methods:
            key = f"assembled {pair[0]} + {pair[1]} {variant} {method} seed {seed}"
            run.row(key, partial(bench.assembled_row, pair, variant, method, seed))


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the parts."""
    parser.add_argument("--only", choices=PARTS, help="a part of the table")


def run(run: Run) -> None:
    """Work out the parts that were asked for."""
    bench = Accuracy(run.sources)
    parts = (run.own["only"],) if run.own["only"] else PARTS
    if "bricks" in parts:
        for seed in SEEDS:
            for dataset, classes in TASKS:
                for share in SHARES:
                    work = partial(bench.brick_row, dataset, classes, share, seed)
                    run.row(f"brick {dataset} {classes} {share} seed {seed}", work)
    if "assembled" in parts:
        assembled_rows(bench, run)
    if "finetuned" in parts:
        work = partial(bench.finetuned, PAIRS[0], "ResNet-20", 10, 0, run.out)
        run.row(f"finetuned {PAIRS[0][0]} + {PAIRS[0][1]} ResNet-20 seed 0", work)
    if "timed" in parts:
        for dataset, classes in TASKS:
            run.row(f"timed {dataset} {classes}", partial(bench.timed, dataset, classes))


def bricks_table(rows: Rows) -> str:
    """Bricks at two budgets: mean over the seeds, the spread behind it, and what was wanted."""
    lines = []
    for task, wanted in WANTED_BRICKS.items():
        first = next((r for k, r in rows.items() if k.startswith(f"brick {task} ")), None)
        if first is None:
            continue
        line: list[object] = [task, f"{100 * first['base']:.2f}", f"{100 * first['restricted']:.2f}"]
        for share, goal in zip((0.75, 0.5), wanted, strict=True):
            found = [r for k, r in rows.items() if k.startswith(f"brick {task} {share} ")]
            line += [_spread([r["accuracy"] for r in found]), f"{goal:g}"]
            line += [f"{100 * mean(r['macs'] for r in found):.1f} %"] if found else ["–"]
        timed = rows.get(f"timed {task}")
        lines.append([*line, first["images"], "–" if timed is None else f"{timed['made_wall_s']:.1f}"])
    header = ["task", "base", "restricted", "at <= 0.75 of the MACs", "wanted", "MACs"]
    header += ["at <= 0.50", "wanted", "MACs", "images", "seconds"]
    return table(header, lines)


def assembled_table(rows: Rows, variants: Sequence[str]) -> str:
    """Assembled models: class-balanced accuracy by calibration, mean over the seeds and spread."""
    lines = []
    for variant in variants:
        for pair, goal in WANTED_ASSEMBLED.items():
            base, key = rows.get(f"base {pair} {variant}"), f"assembled {pair} {variant}"
            cells = [
                [r["balanced_accuracy"] for k, r in rows.items() if k.startswith(f"{key} {m} seed")] for m in METHODS
            ]
            if base is None or not any(cells):
                continue
            before = f"{100 * base['base']:.2f} / {100 * base['restricted']:.2f}"
            lines.append([f"C10 {pair.replace('+', '+ C100')}, {variant}", before, *map(_spread, cells)])
            lines[-1].append({"ResNet-20": f"{goal:g}", "ResNet-20 at 0.75": f"{goal - 2:g}"}.get(variant, "–"))
    header = ["classes, bricks", "base / restricted", "concatenated", "prior (no labels)", "affine", "head", "wanted"]
    return table(header, lines)


def _spread(values: Sequence[float]) -> str:
    """Write the mean of fractions as per cent, and how far they spread.

    >>> _spread([0.9, 0.91, 0.92]), _spread([0.5]), _spread([])
    ('91.00 (90.00 to 92.00)', '50.00', '–')
    """
    if not values:
        return "–"
    middle = f"{100 * mean(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({100 * min(values):.2f} to {100 * max(values):.2f})"


def _threads(rows: Rows) -> str:
    timed = next((r for k, r in rows.items() if k.startswith("timed ")), None)
    return "" if timed is None else f", {timed['threads']} threads"


def section(document: Document) -> str:
    """Return the whole section."""
    rows: Rows = document["rows"]
    variants = list(dict.fromkeys(k.split(" ", 4)[4] for k in rows if k.startswith("base ")))
    parts = [
        "### Bricks of the published ResNet-20s",
        "Criterion *reconstruction*, refit, no gradient step; calibration images from the train shard, 200 per class "
        "of CIFAR-10, 50 of CIFAR-100. Mean of three calibration seeds, least and most in brackets. *Seconds*: reading "
        f"images, choosing, refitting and measuring one brick at 0.50{_threads(rows)}.",
        bricks_table(rows),
        "Ranking again after each part of the cut (in rounds, five times the ranking's seconds) was tried with one "
        "seed and left out: CIFAR-10 0-2 97.87 / 97.20 instead of 98.17 / 97.37, 3-9 93.13 / 90.07 instead of "
        "93.00 / 89.80.",
        "### Assembled models",
        "Class-balanced accuracy over all classes of both bricks. *Base* and *restricted* are the means over the "
        "classes of the sources' own accuracies. The head and its penalties are chosen by cross-validation on the "
        "calibration images. Where three seeds were run, least and most stand in brackets.",
        assembled_table(rows, variants),
    ]
    tuned = {k: r for k, r in rows.items() if k.startswith("finetuned ")}
    for key, r in tuned.items():
        parts.append(
            f"Score 2 (`modellego finetune`), {key.removeprefix('finetuned ')}: {100 * r['balanced_accuracy']:.2f} "
            f"class-balanced ({100 * r['accuracy']:.2f} plain) after {r['epochs']} epochs on "
            f"{r['train_images']:,} images."
        )
    return "\n\n".join(parts)


EXPERIMENT = Experiment(
    title="Accuracy without training",
    run=run,
    section=section,
    measures=(*ASSEMBLING, "finetuning", "training"),
    options=options,
    settings=lambda run: {"criterion": CRITERION, "per_class": PER_CLASS, "seeds": list(SEEDS)},
)

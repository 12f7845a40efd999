"""Compression: all classes of CIFAR-10 cut to given MACs by contribution and by what other papers prune by."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame import plots
from experiments.frame.markdown import millions, percent, table
from experiments.frame.page import reproduction
from experiments.frame.registry import CUTTING, Experiment
from experiments.frame.run import Run, source_options
from experiments.study.cutting import Cutter, Method
from experiments.study.subject import accuracy
from modellego.brick import Brick, load, save
from modellego.data import ImageSet
from modellego.data.draw import shuffled_classes, together
from modellego.finetuning import finetune
from modellego.training import Settings, Trained

Row = dict[str, Any]
NETWORKS = ("resnet20", "resnet32")
SHARES = (0.75, 0.5)
SEEDS = (0, 1, 2)  # of the random criterion
METHODS = (
    Method("contribution", "groups"),
    Method("contribution"),
    Method("reconstruction"),
    *(Method(name, "groups") for name in ("fpgm", "hrank", "l1")),
    *(Method("random", "groups", seed) for seed in SEEDS),
)
CALIBRATION = 200  # images per class, for the criteria and the refit
TUNING = 500  # images per class, the same for all
RATES = (0.01, 0.003, 0.001)  # learning rates of the fine-tuning, compared on other training images
JUDGES = (METHODS[0], METHODS[2])  # the methods whose bricks at the smallest budget compare them
HELD = 100  # images per class, for that
STARTS = ("cut", "refit")
COLUMNS = {"cut": "cut alone", "refit": "refit", "tuned cut": "cut, tuned", "tuned refit": "refit, tuned"}


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the source, and the fine-tuning."""
    source_options(parser)
    parser.add_argument("--finetune", type=int, default=0, help="epochs of fine-tuning what is cut, in place of one")


def run(run: Run) -> None:
    """Cut and refit by every method, then fine-tune what came out, then draw more at random; network by network."""
    networks = (run.network,) if run.network else NETWORKS
    rate = 0.0
    for network in networks:
        begin = cache(partial(_Network, run, network))
        run.row(f"{network} base", lambda begin=begin: begin().base())  # type: ignore[misc]
        cells = [(share, method) for share in SHARES for method in METHODS]
        first = [c for c in cells if c[1].seed == SEEDS[0]]
        for share, method in first:
            key = f"{network} {share:g} {method.name}"
            run.row(key, lambda b=begin, s=share, m=method: b().repaired(s, m))  # type: ignore[misc]
        if network == networks[0]:
            found = run.row(f"{network} rates", lambda begin=begin: begin().rates())  # type: ignore[misc]
            rate = max(RATES, key=lambda r: found["held_out"][f"{r:g}"])
        run.row(f"{network} uncut tuned", lambda begin=begin, rate=rate: begin().uncut(rate))  # type: ignore[misc]
        for start in reversed(STARTS):
            for share, method in first:
                key = f"{network} {share:g} {method.name} tuned {start}"
                work = partial(_tuned, begin, share, method, start, rate)
                run.row(key, work)
        for share, method in (c for c in cells if c not in first):
            key = f"{network} {share:g} {method.name}"
            run.row(key, lambda b=begin, s=share, m=method: b().repaired(s, m))  # type: ignore[misc]


def _tuned(begin: Callable[[], "_Network"], share: float, method: Method, start: str, rate: float) -> Row:
    return begin().tuned(share, method, start, rate)


class _Network:
    """One source with its calibration images, and the bricks made of it so far, on disk."""

    def __init__(self, run: Run, network: str) -> None:
        self.subject = replace(run, network=network).subject("cifar10")
        subject, self.folder = self.subject, run.out / "compression"
        self.task = range(len(subject.whole.classes))
        self.epochs = run.finetune or 1
        self.cutter = Cutter(
            subject.whole,
            subject.data,
            f"0-{len(self.task) - 1}",
            CALIBRATION,
            run.seed,
            subject.most_confident,
            run.progress,
        )
        self.progress = run.progress

    def base(self) -> Row:
        """Return the uncut source's accuracy and cost."""
        return self.subject.base(self.task)

    def repaired(self, share: float, method: Method) -> Row:
        """Score a cut, alone and with the refit."""
        alone, repaired = (self._brick(share, method, start) for start in STARTS)
        row = self.cutter.row(alone)
        size = {key: row[key] for key in ("macs", "parameters")}
        return {**size, "cut": row["accuracy"], "refit": self.cutter.row(repaired)["accuracy"]}

    def rates(self) -> Row:
        """Compare the learning rates on training images that none of them sees, over a few bricks."""
        judge = self.images[1]
        found = {}
        for rate in RATES:
            made = [self._brick(SHARES[-1], method, start) for method in JUDGES for start in STARTS]
            bricks = [self._finetuned(brick, rate).model for brick in made]
            found[f"{rate:g}"] = float(np.mean([accuracy(b, judge, self.progress) for b in bricks]))
        return {"held_out": found, "images": len(judge)}

    def tuned(self, share: float, method: Method, start: str, rate: float) -> Row:
        """Score a brick after a short fine-tuning, on the same images in the same order for all."""
        done = self._finetuned(self._brick(share, method, start), rate)
        assert isinstance(done.model, Brick)
        return {**self.cutter.row(done.model), "images": done.train_images, "epochs": self.epochs, "rate": rate}

    def uncut(self, rate: float) -> Row:
        """Score the uncut source after the same fine-tuning: what that alone changes."""
        done = self._finetuned(self.subject.whole, rate)
        assert isinstance(done.model, Brick)
        return {"accuracy": self.cutter.row(done.model)["accuracy"], "images": done.train_images, "rate": rate}

    def _finetuned(self, brick: Brick, rate: float) -> Trained:
        settings = Settings(
            epochs=self.epochs, lr=rate, held_out=0.0, keep="last", precision="float32", seed=self.subject.seed
        )
        return finetune(brick, self.images[0], settings=settings, progress=self.progress)

    @cached_property
    def images(self) -> tuple[ImageSet, ImageSet]:
        """Return training images for the fine-tuning, and others that judge learning rates."""
        train = self.subject.train
        seen, judge = [], []
        for drawn in shuffled_classes(train.labels, self.task, self.subject.seed):
            held = min(HELD, len(drawn) // 6)
            judge.append(drawn[:held])
            seen.append(drawn[held : held + TUNING])
        return train.subset(together(seen)), train.subset(together(judge))

    def _brick(self, share: float, method: Method, start: str) -> Brick:
        """Return a brick, from disk where an earlier row or run has made it."""
        subject = self.subject
        kept = f"{subject.name}-s{subject.seed}-n{len(subject.train)}-c{subject.candidates or 'all'}"
        path = self.folder / f"{kept}-{share:g}-{method.name.replace(' ', '-')}-{start}.brick"
        if path.is_dir():
            found = load(path)
            assert isinstance(found, Brick)
            return found
        made = self.cutter.cut(method, share, refit=start == "refit")
        self.folder.mkdir(parents=True, exist_ok=True)
        save(made, path)
        return made


def cells(rows: dict[str, Row], network: str, share: float) -> dict[str, Row]:
    """Return each method's figures at one budget, the random ones' mean with their number and spread."""
    found: dict[str, Row] = {}
    for name in dict.fromkeys("random" if m.criterion == "random" else m.name for m in METHODS):
        members = [m.name for m in METHODS if m.name == name or m.criterion == name == "random"]
        own = [rows[key] for key in (f"{network} {share:g} {m}" for m in members) if key in rows]
        if not own:
            continue
        cell: Row = {k: float(np.mean([r[k] for r in own])) for k in ("macs", "parameters", *STARTS)}
        cell["seeds"], cell["spread"] = len(own), {k: _spread([r[k] for r in own]) for k in STARTS}
        for start in STARTS:
            tuned = rows.get(f"{network} {share:g} {members[0]} tuned {start}")
            cell[f"tuned {start}"] = tuned["accuracy"] if tuned else None
        found[name] = cell
    return found


def _spread(values: Sequence[float]) -> float | None:
    return float(np.ptp(values)) / 2 if len(values) > 1 else None


def best(found: dict[str, Row], column: str) -> list[str]:
    """Return who is best in a column, all that share the place; none where fewer than two were worked out."""
    values = {name: cell[column] for name, cell in found.items() if cell.get(column) is not None}
    top = max(values.values(), default=0.0)
    return [name for name, value in values.items() if value == top] if len(values) > 1 else []


def tables(rows: dict[str, Row]) -> str:
    """Return a table per network and budget, and who is best in each column."""
    parts = []
    rates: Row = next((row["held_out"] for key, row in rows.items() if key.endswith(" rates")), {})
    if rates:
        said = ", ".join(f"{rate}: {percent(value)}" for rate, value in rates.items())
        parts.append(f"Learning rates of the fine-tuning, by accuracy on held-out training images: {said}.")
    for network in dict.fromkeys(key.split()[0] for key in rows):
        base = rows[f"{network} base"]
        for share in SHARES:
            found = cells(rows, network, share)
            if not found:
                continue
            lines = [
                [
                    f"{name} ({cell['seeds']} seeds)" if cell["seeds"] > 1 else name,
                    percent(cell["macs"]),
                    percent(cell["parameters"]),
                    *(_shown(cell, column) for column in COLUMNS),
                ]
                for name, cell in found.items()
            ]
            head = f"**{network} at {100 * share:g} % of its {millions(base['macs_base'])} MACs**; "
            tuned = rows.get(f"{network} uncut tuned")
            same = f", {percent(tuned['accuracy'])} after the same fine-tuning" if tuned else ""
            parts.append(head + f"uncut: {percent(base['base'])} on {base['images']} test images{same}.")
            parts.append(table(["criterion", "MACs, %", "parameters, %", *COLUMNS.values()], lines))
            winners = {words: " and ".join(best(found, column)) for column, words in COLUMNS.items()}
            if any(winners.values()):
                parts.append(f"Best {'; '.join(f'{words}: {who}' for words, who in winners.items() if who)}.")
    return "\n\n".join(parts)


def _shown(cell: Row, column: str) -> str:
    spread = cell["spread"].get(column)
    return percent(cell[column]) + (f" ± {100 * spread:.2f}" if spread is not None else "")


def plot(rows: dict[str, Row], folder: Path) -> list[Path]:
    """Draw accuracy by what was done after the cut, one line per criterion, one panel per network and budget."""
    networks = list(dict.fromkeys(key.split()[0] for key in rows))
    figure, axes = plots.subplots(len(networks), len(SHARES), (10, 3.6 * len(networks)))
    for line, network in zip(axes, networks, strict=True):
        for place, share in zip(line, SHARES, strict=True):
            for number, (name, cell) in enumerate(cells(rows, network, share).items()):
                points = [(i, 100 * cell[c]) for i, c in enumerate(COLUMNS) if cell.get(c) is not None]
                colour = plots.COLOURS[number] if number < len(plots.COLOURS) else "grey"
                place.plot(*zip(*points, strict=True), "o-", color=colour, label=name, lw=1.2, ms=4)
            place.axhline(100 * rows[f"{network} base"]["base"], color="black", lw=1, ls="--", label="uncut")
            place.set_xticks(range(len(COLUMNS)), list(COLUMNS.values()))
            place.set(ylabel="accuracy, %", title=f"{network}, {100 * share:g} % of the MACs")
    axes[0][0].legend(fontsize=7)
    return list(plots.save(figure, folder / "compression"))


SHOWS = "cuts all of CIFAR-10's classes to fewer MACs, against FPGM and HRank; its figures are not at hand."
DIFFERS = (
    "published CIFAR-10 ResNets are cut along one ranking of all channel groups, to at most the MACs named (a "
    "stream's channel costs up to 2 %, so some stay below), and scored as they are, after the closed-form refit, and "
    f"after one epoch of fine-tuning on {TUNING} images per class (SGD, the same images, seed and learning rate for "
    f"all; the rate is the one of {', '.join(map(str, RATES))} that does best on {HELD} other training images per "
    f"class, over four bricks). {CALIBRATION} images per class of the train part serve the criteria and the refit. L1, "
    "FPGM and HRank prune each layer by a rate set by hand in their papers; here they compare between layers as "
    "pruning libraries do it: divided by the layer's mean, and averaged over the layers that a channel group spans. "
    "Contribution is a share of its reader's largest as it is; *per MAC* divides by the MACs that go with a channel "
    "group; reconstruction is the loss after "
    "a refit, per MAC; random draws from 0 to 1 (mean and half the range over the seeds; the first alone is tuned)."
)

EXPERIMENT = Experiment(
    title="Compression of a whole classifier",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=(*CUTTING, "finetuning", "training"),
    plot=plot,
    options=options,
)

"""The demo: two small classifiers of different architecture, taken apart and put together, on embedded data."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from modellego import zoo
from modellego.assembly import assemble
from modellego.assembly.scoring import scored
from modellego.brick import Assembled, Brick, check_target, save
from modellego.data import Data, load_data
from modellego.disassembly.verb import disassemble
from modellego.errors import LegoError
from modellego.evaluation import Evaluation, evaluate
from modellego.finetuning import finetune
from modellego.locate import Budget
from modellego.preprocess import Preprocess
from modellego.progress import Progress, silent
from modellego.sources.whole import whole_brick
from modellego.training import Augment, Settings

MACS = 0.6  # what each brick may cost, as a share of its source


@dataclass(frozen=True)
class DemoSource:
    """A source model of the demo: a zoo network, the digits it is trained on, and those that are cut out of it."""

    name: str
    network: str
    width: float
    preprocess: Preprocess
    trained_on: tuple[int, ...]
    wanted: tuple[int, ...]
    epochs: int


SOURCES = (
    DemoSource("lenet", "lenet5", 1.0, Preprocess(1, 28, 28, (0.3,), (0.35,)), tuple(range(6)), tuple(range(5)), 12),
    DemoSource(
        "resnet", "resnet20", 0.5, Preprocess(1, 8, 8, (0.3,), (0.35,)), tuple(range(4, 10)), tuple(range(5, 10)), 20
    ),
)


@dataclass(frozen=True)
class DemoResult:
    """What the demo made: source models, the bricks cut from them, the assembled model, and what each scored."""

    sources: tuple[Brick, ...]
    bricks: tuple[Brick, ...]
    assembled: Brick | Assembled
    scores: tuple[Evaluation, ...]
    assembled_scores: Evaluation
    base: float
    base_restricted: float


def demo(out: str | os.PathLike[str], seed: int = 0, force: bool = False, progress: Progress = silent) -> DemoResult:
    """Train two classifiers on different digits, cut a brick from each, assemble them without training, score all.

    Writes `lenet.brick`, `resnet.brick` and `digits.brick` into the folder `out` (made if need be), all three once
    all are there. The same seed gives the same bricks.
    """
    out = Path(out)
    files = [out / f"{name}.brick" for name in (*(s.name for s in SOURCES), "digits")]
    check_folder(out, files, force)
    torch.manual_seed(seed)
    data = load_data("digits")
    sources = tuple(_train(source, data, seed, progress) for source in SOURCES)
    bricks = tuple(
        disassemble(
            whole,
            data,
            [source.trained_on.index(digit) for digit in source.wanted],
            budget=Budget(macs=MACS),
            seed=seed,
            progress=progress,
        )
        for whole, source in zip(sources, SOURCES, strict=True)
    )
    assembled = assemble(
        bricks, calibrate="head", data=data, names=[s.name for s in SOURCES], seed=seed, progress=progress
    )
    assert data.test is not None
    scores = tuple(evaluate(brick, data.test) for brick in bricks)
    assembled_scores, _ = scored(assembled, data, {}, progress)
    assert assembled_scores is not None
    out.mkdir(parents=True, exist_ok=True)
    for file, piece in zip(files, (*bricks, assembled), strict=True):
        save(piece, file, force)
    return DemoResult(
        sources,
        bricks,
        assembled,
        scores,
        assembled_scores,
        _mean_over_classes(bricks, "base_accuracy"),
        _mean_over_classes(bricks, "base_restricted_accuracy"),
    )


def check_folder(out: Path, files: Sequence[Path], force: bool) -> None:
    """Refuse a folder that bricks cannot be written into, before they are made.

    Raises:
        LegoError: the folder is a file, or cannot be written to.
        FormatError: a brick is there already and is not to be replaced.
    """
    place = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    if not place.is_dir():
        raise LegoError(f"{place.name} is a file: name a folder for the bricks")
    if not os.access(place, os.W_OK):
        raise LegoError(f"nothing can be written into the directory {place}: name another folder")
    if out.is_dir():
        for file in files:
            check_target(file, force)


def _train(source: DemoSource, data: Data, seed: int, progress: Progress) -> Brick:
    """Train one source model on its digits, and capture it whole."""
    names = [str(c) for c in source.trained_on]
    p = source.preprocess
    train = data.train.select(list(source.trained_on))
    model = zoo.build(source.network, len(names), p.channels, (p.height, p.width), source.width)
    settings = Settings(
        epochs=source.epochs,
        lr=0.05,
        batch_size=64,
        augment=Augment(flip=False, shift=0),
        held_out=0.0,
        keep="last",
        seed=seed,
    )
    done = finetune(
        whole_brick(model, p, names, source.name),
        train,
        settings=settings,
        progress=lambda _, unit: progress(f"train {source.name}", unit),
    )
    whole = done.model
    assert isinstance(whole, Brick)
    whole.info = whole.info.changed(notes="")
    return whole


def _mean_over_classes(bricks: tuple[Brick, ...], key: str) -> float:
    """Return the sources' own accuracy on the bricks' tasks, each task weighted by its number of classes."""
    total = sum(len(b.classes) for b in bricks)
    return sum((b.info.scores[key] or 0.0) * len(b.classes) for b in bricks) / total

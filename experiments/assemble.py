"""Assembly: the paper's four CIFAR rows, scored without training, and after fine-tuning where that is asked for."""

import argparse
from functools import cache, partial
from typing import Any

from experiments.frame.markdown import percent, table
from experiments.frame.page import reproduction
from experiments.frame.registry import ASSEMBLING, Experiment
from experiments.frame.run import Run, source_options
from experiments.study.pairs import Pair
from experiments.study.paper_figures import ASSEMBLED, NETWORKS, PAIRS

Row = dict[str, Any]
# key: (heading, way, refit)
WAYS: dict[str, tuple[str, str, bool]] = {
    "score 1": ("score 1", "padding", False),
    "scaled": ("score 1, logits scaled", "scaling logits", False),
    "refit": ("refit", "padding", True),
    "head": ("refit, common head", "head", True),
}


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the source, and score 2."""
    source_options(parser)
    parser.add_argument("--finetune", type=int, default=0, help="epochs of fine-tuning what is assembled (score 2)")


def run(run: Run) -> None:
    """Assemble each pair in each way, a row each; the long training of score 2 comes last."""
    pairs = {name: cache(partial(Pair, run, tasks)) for name, tasks in PAIRS.items()}
    for name, pair in pairs.items():
        run.row(f"{name} base", lambda pair=pair: pair().base())  # type: ignore[misc]
        for key, (_, how, refit) in WAYS.items():
            run.row(f"{name} {key}", lambda pair=pair, how=how, refit=refit: pair().score(how, refit))  # type: ignore[misc]
    for name, pair in pairs.items() if run.finetune else ():
        run.row(f"{name} score 2", lambda pair=pair: pair().finetuned(run.finetune, False))  # type: ignore[misc]


def tables(rows: dict[str, Row]) -> str:
    """Return our table and the paper's."""
    ways = {key: name for key, (name, _, _) in WAYS.items()}
    if any(key.endswith(" score 2") for key in rows):
        ways["score 2"] = "score 2"
    lines, paper = [], []
    for name in PAIRS:
        base = rows.get(f"{name} base")
        if base is None:
            continue
        found = [rows.get(f"{name} {key}", {}) for key in ways]
        images = next((r["images"] for r in found if r), "–")
        scores = [percent(r.get("accuracy")) for r in found]
        lines.append([f"{name} ({images})", percent(base["base"]), percent(base["restricted"]), *scores])
        paper.append([name, *map(_published, ASSEMBLED[name])])
    parts = [
        table(["pair (test images)", "base", "restricted", *ways.values()], lines),
        "The paper's base; score 1 / score 2:",
        table(["pair", *NETWORKS], paper),
    ]
    return "\n\n".join(parts)


def _published(cell: tuple[float | None, float, float]) -> str:
    base, one, two = cell
    return f"{'–' if base is None else f'{base:.2f}'}; {one:.2f} / {two:.2f}"


SHOWS = (
    "assembles components of CIFAR-10 and CIFAR-100 models and scores them as they are (score 1) and after ten "
    "epochs of fine-tuning (score 2); base is the mean over classes of the sources' own accuracies."
)
DIFFERS = (
    "the sources are published ResNet-20s unless `--network` names one; equally many test images of every "
    "class are scored; score 2 wants `--finetune 10`; *restricted* is the mean of the uncut sources with the task's "
    "logits alone: no assembled model can be expected above it, as there is one decision more to take; *refit* and "
    "*common head* are ours, without a gradient step through the bricks. The paper's base that breaks its own "
    "rule is left out."
)

EXPERIMENT = Experiment(
    title="Assembly: CIFAR-10 and CIFAR-100 tasks put together",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=(*ASSEMBLING, "finetuning", "training"),
    options=options,
)

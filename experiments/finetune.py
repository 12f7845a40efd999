"""Fine-tuning a brick with few images: what it scores before and after, by the settings of today and those of before.

50 images per class from the first train shard serve for everything: the choice of channels, the refit, fine-tuning and
what it holds out. The test part is read for the scores alone, after all else is done.
"""

import time
from functools import partial
from typing import Any

import numpy as np

from experiments.frame.markdown import percent, table
from experiments.frame.registry import CUTTING, Document, Experiment
from experiments.frame.run import Run
from modellego.data import Data, ImageSet, load_data, resolve_classes
from modellego.disassembly.verb import disassemble
from modellego.evaluation import logits_of, score
from modellego.finetuning import finetune
from modellego.locate import Budget
from modellego.training import Settings, Trained

TASKS = (("cifar10", "0-2"), ("cifar100", "0-19"))
PER_CLASS = 50
FORMER = Settings(epochs=10, lr=0.01, held_out=0.1, keep="last")  # the defaults until they were found to do harm


def few_images(run: Run, dataset: str, classes: str) -> ImageSet:
    """Draw 50 images per class of a task from the first train shard, by the run's seed."""
    shard = min(run.sources.place(dataset).glob("train-*.parquet"))
    known = load_data(str(shard)).train.for_model(run.sources.data(dataset).classes)
    random = np.random.default_rng(run.seed)
    task = resolve_classes(classes, known.classes)
    return known.subset(np.sort(np.concatenate([random.permutation(known.of_class(k))[:PER_CLASS] for k in task])))


def measured(run: Run, dataset: str, classes: str) -> dict[str, Any]:
    """Cut a brick to half the MACs, fine-tune it in both ways, and score all on test images."""
    whole, images = run.subject(dataset).whole, few_images(run, dataset, classes)
    brick = disassemble(
        whole,
        Data(images),
        classes,
        budget=Budget(macs=0.5),
        criterion="reconstruction",
        refit_images=PER_CLASS,
        seed=run.seed,
        progress=run.progress,
    )
    spent = time.process_time()
    done = finetune(brick, images, progress=run.progress)
    spent = time.process_time() - spent
    former = finetune(brick, images, settings=FORMER, progress=run.progress)
    test = run.sources.data(dataset).test
    assert test is not None
    own = test.for_model(brick.classes)

    def accuracy(model: Any) -> float:
        return score(logits_of(model, own), own.labels).accuracy

    return {
        "images": len(images),
        "before": accuracy(brick),
        "after": accuracy(done.model),
        "former": accuracy(former.model),
        "test_images": len(own),
        "cpu_s": round(spent, 1),
        **_told(done),
        "former_curve": _told(former)["curve"],
    }


def _told(done: Trained) -> dict[str, Any]:
    found = done.as_json()
    return {k: found[k] for k in ("kept_epoch", "train_images", "held_out_images", "curve", "settings")}


def run(run: Run) -> None:
    """Measure both tasks, a row each."""
    for dataset, classes in TASKS:
        run.row(f"{dataset} {classes}", partial(measured, run, dataset, classes))


def section(document: Document) -> str:
    """Return the section: what was trained on what, and the table."""
    lines = []
    for key, row in document["rows"].items():
        best = row["curve"][row["kept_epoch"]]
        held = [f"{row['curve'][0]['held_out_loss']:.3f} → {best['held_out_loss']:.3f}"]
        last = f"{row['curve'][-1]['held_out_loss']:.3f}"
        kept = f"epoch {row['kept_epoch']}" if row["kept_epoch"] else "as it was"
        scores = [percent(row[k]) for k in ("before", "after", "former")]
        lines.append([key, row["images"], scores[0], scores[1], kept, *held, last, scores[2]])
    header = ["task", "images", "before", "after", "kept", "held-out loss", "at the last epoch", "former defaults"]
    said = (
        "Bricks of published ResNet-20s at half the MACs (criterion *reconstruction*), 50 labelled images per class of "
        "the first train shard for choice, refit and fine-tuning alike. *After* is `finetune` with nothing said: rate, "
        "batch norms and length by the number of images and by short trials, the weights that do best on held-out "
        "images, or those from before where none do surely better. *Former defaults*: 10 epochs at 0.01, batch norms "
        "in training mode, the last weights kept. With so few images cross-entropy does not help a refitted brick; "
        "the command leaves it as it was, and says so."
    )
    return "\n\n".join([said, table(header, lines)])


EXPERIMENT = Experiment(
    title="Fine-tuning with few images", run=run, section=section, measures=(*CUTTING, "training", "finetuning")
)

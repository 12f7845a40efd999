"""The verb `finetune`: some epochs of training for a brick or an assembled model, by plain cross-entropy."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import Data, ImageSet, load_data
from modellego.finetuning.feed import open_feed, split_held_out
from modellego.finetuning.masks import cross_masks
from modellego.finetuning.settings import Epoch, Settings
from modellego.finetuning.train import Loss, Run, device_of, run_epochs
from modellego.progress import Progress, silent

TrainingData = ImageSet | Data | str | Sequence[str]


@dataclass(frozen=True)
class FinetuneResult:
    """A trained copy of a model and how it came about.

    `curve` has a point an epoch, the first before any step; `kept_epoch` says whose weights `model` holds.
    """

    model: Brick | Assembled
    curve: tuple[Epoch, ...]
    kept_epoch: int
    train_images: int
    held_out_images: int
    settings: Settings

    def as_json(self) -> dict[str, Any]:
        """Return plain values: curve, settings and counts."""
        return {
            "curve": [asdict(point) for point in self.curve],
            "kept_epoch": self.kept_epoch,
            "train_images": self.train_images,
            "held_out_images": self.held_out_images,
            "settings": asdict(self.settings),
        }


def finetune(
    model: Brick | Assembled,
    data: TrainingData,
    *,
    settings: Settings | None = None,
    grow_cross: bool = False,
    mapping: Mapping[str, str | int] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> FinetuneResult:
    """Train a copy of a brick or an assembled model on labelled images; the model itself stays as it is.

    Args:
        model: all of its parameters train, those of an assembled model's joint too.
        data: labelled images in [0,1]; only their train part is used, some of it held out for the curve.
        settings: epochs, learning rate, batch size, augmentation and so on; the paper's by default.
        grow_cross: whether, in padded bricks, the zero weights from one brick's channels to another's may grow.
        mapping: data class name -> model class name or index, where names do not meet by themselves.
        checkpoint: a file written after each epoch; left there when the run is done.
        resume: go on from that file, with the same model, data and settings.
        progress: follows the steps.
        on_epoch: called with each new point of the curve.

    Raises:
        DataError: no class of the data is a class of the model, or too few images.
        FormatError: the checkpoint cannot be written, or is of another run.

    Source: "score 2" of "Model LEGO", NeurIPS 2024: SGD, momentum 0.9, weight decay 5e-4, cosine, 10 epochs.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> brick = whole_brick(net, Preprocess(1, 8, 8), [str(i) for i in range(10)])
    >>> done = finetune(brick, "digits", settings=Settings(epochs=1))
    >>> [point.epoch for point in done.curve], done.held_out_images
    ([0, 1], 143)
    """
    done = train_model(
        model,
        data,
        lambda images, logits, labels: F.cross_entropy(logits, labels),
        settings or Settings(),
        kind="finetune",
        masks={} if grow_cross else cross_masks(model),
        mapping=mapping,
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
        on_epoch=on_epoch,
    )
    s = done.settings
    say_so(done.model, f"Fine-tuned: {s.epochs} epochs on {done.train_images:,} images (lr {s.lr:g}, seed {s.seed}).")
    return done


def say_so(model: Brick | Assembled, note: str) -> None:
    """Write into a trained model what was done, and take out what no longer holds: its scores and its reject rule."""
    stale = {k: (v if k.startswith("base") or "accuracy" not in k else None) for k, v in model.info.scores.items()}
    notes = f"{model.info.notes} {note}".strip()
    if model.info.reject is not None:
        notes += " Its reject rule was dropped: it held for the logits before."
    model.info = model.info.changed(notes=notes, scores=stale, reject=None)


def train_model(
    model: Brick | Assembled,
    data: TrainingData,
    loss: Loss,
    settings: Settings,
    *,
    kind: str,
    masks: Mapping[str, Tensor],
    mapping: Mapping[str, str | int] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> FinetuneResult:
    """Train a copy of a model by any `loss(images, logits, labels)`; what `finetune` and `distill` share.

    `kind` names the run in its checkpoint; `masks` are those of `cross_masks`.
    """
    images = data if isinstance(data, ImageSet | Data) else load_data(data)
    train = (images.train if isinstance(images, Data) else images).for_model(model.classes, mapping)
    chosen, held = split_held_out(train.labels, settings.held_out, settings.seed)
    device = device_of(settings)
    trained = copy.deepcopy(model).to(device)
    run = Run(
        trained,
        open_feed(model, train),
        torch.from_numpy(chosen),
        torch.from_numpy(held),
        settings,
        loss,
        masks,
        device,
        None if checkpoint is None else Path(checkpoint),
        kind,
    )
    with progress(kind, "steps") as update:
        run_epochs(run, resume, update, on_epoch)
    return FinetuneResult(trained.cpu(), tuple(run.curve), run.best_epoch, len(chosen), len(held), settings)

"""Train a copy of a brick or an assembled model on labelled images: what fine-tuning and distillation share."""

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import DataLike, ImageSet, MappingLike, load_data
from modellego.preprocess import Framed
from modellego.progress import Progress, silent
from modellego.training.augment import augmented_frames
from modellego.training.feed import Feed
from modellego.training.held_out import split_held_out
from modellego.training.loop import Examples, OnEpoch, Run, device_of, run_epochs
from modellego.training.masks import held_at_zero
from modellego.training.settings import Epoch, Settings

Loss = Callable[[Framed, Tensor, Tensor], Tensor]
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Trained:
    """A trained copy of a model and how it came about.

    `curve` has a point per epoch, the first before any step; `kept_epoch` says whose weights `model` holds: 0 where
    training did not help.
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


def training_images(model: Brick | Assembled, data: DataLike, mapping: MappingLike | None = None) -> ImageSet:
    """Return the labelled images to train on: the train part, of the model's classes, numbered as the model does.

    `mapping`: data class name -> model class name or index, where names do not meet by themselves.

    Raises:
        DataError: no class of the data is a class of the model.
    """
    return load_data(data).train.for_model(model.vocabulary, mapping)


def train_on_images(
    model: Brick | Assembled,
    data: DataLike,
    loss: Loss,
    settings: Settings,
    *,
    title: str,
    shown_to: Sequence[Brick | Assembled] = (),
    identity: Mapping[str, Any] | None = None,
    zeros: Mapping[str, Tensor] | None = None,
    mapping: MappingLike | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train a copy of a model by any `loss(images, logits, labels)`, the mean over a batch.

    Args:
        model: stays as it is.
        data: labelled images in [0,1]; only their train part is used, some of it held out.
        loss: of images (`Framed`, which models take), logits float32 `[b, C]`, labels int64 `[b]`.
        settings: see `Settings`.
        title: what the run is called while it is followed, and in its checkpoint.
        shown_to: models that the loss shows the images to, as a teacher.
        identity: plain values that, beside data, model and settings, tell this run from another.
        zeros: masks of weights that stay zero, as `cross_masks` gives them.
        mapping: data class name -> model class name or index, where names do not meet by themselves.
        checkpoint: a file written after each epoch; left there when the run is done.
        resume: go on from that file.
        progress: follows the steps.
        on_epoch: called with each new point of the curve.

    Raises:
        DataError: no class of the data is a class of the model, or too few images.
        FormatError: the checkpoint cannot be written, or is of another run.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> brick = whole_brick(net, Preprocess(1, 8, 8), [str(i) for i in range(10)])
    >>> squares = lambda images, logits, labels: (logits - F.one_hot(labels, 10)).square().mean()
    >>> train_on_images(brick, "digits", squares, Settings(epochs=1), title="squares").train_images
    1299
    """
    part = training_images(model, data, mapping)
    chosen, held = split_held_out(part.labels, settings.held_out, settings.seed)
    device = device_of(settings)
    trained = copy.deepcopy(model).to(device)
    feed = Feed(part, tuple(frame for reader in (model, *shown_to) for frame in reader.frames))
    masks = dict(zeros or {})
    marks = {
        "title": title,
        "classes": list(model.classes),
        "labels": int((feed.labels * torch.arange(1, len(feed.labels) + 1)).sum()),
        "zeros": sorted(masks),
        **(identity or {}),
    }
    loss_of, measure = _on_feed(trained, feed, loss, settings, device)
    examples = Examples(torch.from_numpy(chosen), torch.from_numpy(held), loss_of, measure, marks)
    run = Run(trained, examples, settings, None if checkpoint is None else Path(checkpoint))
    with progress(title, "steps") as update, held_at_zero(trained, masks):
        run_epochs(run, resume, update, on_epoch)
    return Trained(trained.cpu(), tuple(run.curve), run.best_epoch, len(chosen), len(held), settings)


def _on_feed(
    model: Brick | Assembled, feed: Feed, loss: Loss, settings: Settings, device: torch.device
) -> tuple[Callable[[Tensor, torch.Generator], Tensor], Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Return `loss` and `measure` of `Examples` for images by number."""

    def loss_of(chosen: Tensor, generator: torch.Generator) -> Tensor:
        images = augmented_frames(feed.read(chosen), settings.augment, generator).to(device, non_blocking=True)
        labels = feed.labels[chosen].to(device, non_blocking=True)
        with _precision(settings, device):
            return loss(images, model(images).float(), labels)

    def measure(chosen: Tensor) -> tuple[Tensor, Tensor]:
        losses, right = [], []
        for some in torch.split(chosen, EVALUATION_BATCH):
            labels = feed.labels[some].to(device)
            with _precision(settings, device):
                logits = model(feed.read(some).to(device)).float()
            losses.append(F.cross_entropy(logits, labels, reduction="none"))
            right.append(logits.argmax(1) == labels)
        return torch.cat(losses), torch.cat(right)

    return loss_of, measure


def _precision(settings: Settings, device: torch.device) -> AbstractContextManager[Any]:
    wanted = settings.precision
    if wanted == "auto":
        wanted = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    return torch.autocast(device.type, torch.bfloat16) if wanted == "bfloat16" else nullcontext()

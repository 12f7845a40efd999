"""The verb `finetune`: some epochs of training for a brick or an assembled model, by plain cross-entropy."""

from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import DataLike, MappingLike
from modellego.finetuning.candidates import candidates
from modellego.preprocess import Framed
from modellego.progress import Progress, silent
from modellego.training import Settings, Trained, train_on_images, training_images
from modellego.training.choose import choose_settings, chosen_before
from modellego.training.loop import OnEpoch
from modellego.training.masks import cross_masks
from modellego.training.record import note_training


def finetune(
    model: Brick | Assembled,
    data: DataLike,
    *,
    settings: Settings | Sequence[Settings] | None = None,
    grow_cross: bool = False,
    mapping: MappingLike | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train a copy of a brick or an assembled model on labelled images; the model itself stays as it is.

    Where no epoch does surely better on the held-out images than the model did before, the copy is the model as it
    was, its `kept_epoch` 0.

    Args:
        model: all of its parameters train, those of an assembled model's joint too.
        data: labelled images in [0,1]; only their train part is used, some of it held out for the curve.
        settings: epochs, learning rate, batch size, augmentation and so on. Several: those are taken by which a short
            trial does best on held-out images. By default some that suit the number of images: see `candidates`.
        grow_cross: whether, in padded bricks, the zero weights from one brick's channels to another's may grow.
        mapping: data class name -> model class name or index, where names do not meet by themselves.
        checkpoint: a file written after each epoch; left there when the run is done.
        resume: go on from that file, with the same model, data and settings.
        progress: follows the steps.
        on_epoch: called with each new point of the curve.

    Raises:
        DataError: no class of the data is a class of the model, or too few images.
        FormatError: the checkpoint cannot be written, or is of another run.

    Source: "score 2" of "Model LEGO", NeurIPS 2024: SGD, momentum 0.9, weight decay 5e-4, cosine, 10 epochs at 0.01.
    They are among the candidates where images are many; with few they ruin a brick.

    >>> import torch
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> brick = whole_brick(net, Preprocess(1, 8, 8), [str(i) for i in range(10)])
    >>> done = finetune(brick, "digits", settings=Settings(epochs=1))
    >>> [point.epoch for point in done.curve], done.held_out_images
    ([0, 1], 143)
    """
    images, zeros = training_images(model, data, mapping), {} if grow_cross else cross_masks(model)
    several = [settings] if isinstance(settings, Settings) else list(settings or candidates(len(images)))
    if resume and checkpoint is not None and len(several) > 1:
        chosen = chosen_before(checkpoint, several)
    else:
        chosen = choose_settings(model, images, _cross_entropy, several, zeros=zeros, progress=progress)
    done = train_on_images(
        model,
        images,
        _cross_entropy,
        chosen,
        title="finetune",
        zeros=zeros,
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
        on_epoch=on_epoch,
    )
    if done.kept_epoch:
        how = f"lr {chosen.lr:g}, batch norms {'trained' if chosen.norms == 'train' else 'frozen'}, seed {chosen.seed}"
        length = f"{done.kept_epoch} of {chosen.epochs} epochs on {done.train_images:,} images"
        note_training(done.model, f"Fine-tuned: {length} ({how}).")
    return done


def _cross_entropy(images: Framed, logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels)

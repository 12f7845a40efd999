"""Choose how to train: a few steps by each of several settings, and those that do best on held-out images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import ImageSet
from modellego.errors import FormatError, LegoError
from modellego.progress import Progress, silent
from modellego.training.checkpoint import load_checkpoint
from modellego.training.images import Loss, train_on_images
from modellego.training.loop import settings_of
from modellego.training.settings import Settings

TRIAL_IMAGES = 4096
TRIAL_EPOCHS = 2


def choose_settings(
    model: Brick | Assembled,
    images: ImageSet,
    loss: Loss,
    candidates: Sequence[Settings],
    *,
    zeros: Mapping[str, Tensor] | None = None,
    progress: Progress = silent,
) -> Settings:
    """Return the candidate by which a short run ends with the lowest loss on held-out images.

    A trial is at most two epochs on at most 4,096 of the images, labelled by the model's classes, its learning
    rate falling to zero as in a whole run. `loss`, `zeros`: see `train_on_images`. One candidate needs no trial.

    Raises:
        LegoError: there is no candidate.
    """
    if not candidates:
        raise LegoError("there are no settings to train with: give at least one")
    if len(candidates) == 1:
        return candidates[0]
    random = np.random.default_rng(candidates[0].seed)
    some = images.subset(np.sort(random.permutation(len(images))[:TRIAL_IMAGES]))
    found: list[float] = []
    for number, settings in enumerate(candidates, 1):
        short = replace(settings, epochs=min(settings.epochs, TRIAL_EPOCHS), keep="last")
        title = f"trial {number} of {len(candidates)}"
        done = train_on_images(model, some, loss, short, title=title, zeros=zeros, progress=progress)
        last = done.curve[-1].held_out_loss
        found.append(float("inf") if last is None or np.isnan(last) else last)
    return candidates[int(np.argmin(found))]


def chosen_before(checkpoint: str | Path, candidates: Sequence[Settings]) -> Settings:
    """Return the candidate that a stopped run was trained by, as its checkpoint says.

    Raises:
        FormatError: there is no checkpoint, or it was trained by none of them.
    """
    state = load_checkpoint(checkpoint)
    for settings in candidates:
        if settings_of(state) == settings.identity():
            return settings
    raise FormatError(
        f"the checkpoint {checkpoint} is of another run (its settings differ): resume with the same model, data and "
        f"settings, or start over without resume"
    )

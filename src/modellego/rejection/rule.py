"""A reject rule for a brick or an assembled model: the confidence below which it says "none of these"."""

from typing import get_args

import torch

from modellego.brick import Assembled, Brick, Reject, confidence
from modellego.brick.reject_rule import Statistic
from modellego.data import ImageSet
from modellego.data.feed import own_batches
from modellego.data.views import VIEWS, altered_frames
from modellego.distributed import gathered
from modellego.errors import DataError
from modellego.progress import Progress, silent
from modellego.rejection.threshold import choose_threshold

HELD = 50  # images per class that the threshold is taken from
KEEP = 0.95  # the share of its own images that a model still answers, where none is asked for
STATISTIC: Statistic = "energy"


def check_rule(keep: float | None, statistic: str | None = None) -> None:
    """Refuse a share or a statistic that there is none of, before any work is done.

    Raises:
        DataError: `keep` is not above 0 and at most 1, there is no such statistic, or a statistic but no share.
    """
    if keep is not None and not 0 < keep <= 1:
        raise DataError(f"the share of images to answer is {keep:g}: it must be above 0 and at most 1, such as 0.95")
    if statistic is None:
        return
    if keep is None:
        raise DataError(f"the statistic {statistic!r} serves rejection: say which share of images is still answered")
    if statistic not in get_args(Statistic):
        raise DataError(f"images are rejected by {', '.join(get_args(Statistic))}, not by {statistic!r}")


@torch.no_grad()
def add_reject_rule(
    model: Brick | Assembled,
    images: ImageSet,
    keep: float,
    statistic: Statistic | None = None,
    *,
    views: int = VIEWS,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Give a model, in place, the threshold at which it answers the share `keep` of its own images.

    `images` are on its task, labelled by its classes, every class counting alike; best are such that nothing was fitted
    on. Where they are the sources' own training images, a model is surer of them than of new ones, so the threshold is
    taken from `views` altered views of each as well (0: from the images alone). No image of another class is needed.

    Raises:
        DataError: `keep` or `statistic` is none, or there are no images.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> brick = whole_brick(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)), Preprocess(1, 8, 8))
    >>> seen = ImageSet.from_tensor(torch.rand(20, 1, 8, 8), [0, 1] * 10, brick.classes)
    >>> add_reject_rule(brick, seen, 0.9)
    >>> brick.info.reject.statistic
    'energy'
    """
    check_rule(keep, statistic)
    statistic = statistic or STATISTIC
    if not len(images):
        raise DataError("a reject rule needs images of the model's own classes: there are none")
    model.eval()
    found: list[torch.Tensor] = []
    labels: list[torch.Tensor] = []
    with progress("reject", "images") as update:
        for number, rows, seen in own_batches(images, model.frames, 100):
            for shown in (seen, *altered_frames(seen, count=views, seed=seed + number)):
                found.append(confidence(model(shown).double(), statistic))
                labels.append(torch.from_numpy(images.labels[rows]))
            update(rows.stop, len(images))
    threshold = choose_threshold(gathered(found), keep, gathered(labels))
    told = (
        f"Says none of these where its {statistic} is below {threshold:.4g}, which {100 * keep:g} % of its images pass."
    )
    notes = f"{model.info.notes} {told}".strip()
    model.info = model.info.changed(reject=Reject(threshold=threshold, statistic=statistic), notes=notes)

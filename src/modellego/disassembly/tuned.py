"""Tuning as a step of disassembly: which images serve, and what the brick says of it afterwards."""

from modellego.brick import Brick
from modellego.data.feed import framed
from modellego.data.store import Store
from modellego.disassembly.choose import DrawnImages
from modellego.disassembly.job import Job
from modellego.distributed import processes
from modellego.errors import CutError, DataError
from modellego.progress import Progress
from modellego.tuning import tune


def check_tuning(steps: int | None, refitted: bool, drawn: DrawnImages) -> None:
    """Refuse a tuning that cannot be done, before any work starts; `steps` None means no tuning.

    Raises:
        CutError: no steps, or nothing was refitted.
        DataError: there are too few images to hold any out.
    """
    if steps is None:
        return
    if processes() > 1:
        raise CutError("tuning is not shared out: tune in one process, or leave the tuning off")
    if steps < 1:
        raise CutError(f"tune for 1 step or more, not {steps}; None means no tuning")
    if not refitted:
        raise CutError("tuning goes on from the refit: leave the refit on, or the tuning off")
    if len(drawn.held) < 2:
        raise DataError("tuning holds images out, a fifth of each class: give at least 5 images per class")


def tuned(
    brick: Brick, job: Job, images: Store, drawn: DrawnImages, steps: int, seed: int, progress: Progress
) -> Brick:
    """Return a brick tuned on images without labels, measured on the drawn ones held out; its info says how."""
    shown, held = (framed(store, brick.frames)[brick.frame] for store in (images, drawn.held))
    found, report = tune(brick, job.whole, job.task, shown, held, steps, seed=seed, progress=progress)
    found.info = brick.info.changed(refit=(brick.info.refit or {}) | {"tuning": report.as_json()})
    return found

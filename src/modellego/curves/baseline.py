"""What the points of a curve are held against: the uncut source's cost, and its scores on the task's test images."""

from dataclasses import dataclass

from modellego.brick import Brick
from modellego.capture.cost import Cost
from modellego.data import ImageSet
from modellego.disassembly.job import Job
from modellego.evaluation import logits_of, restricted, score


@dataclass(frozen=True)
class Baseline:
    """The source's cost, the task's test images, and the source's accuracy there; None without such images."""

    before: Cost
    test: ImageSet | None
    base: float | None
    base_restricted: float | None

    def measure(self, brick: Brick) -> tuple[float, float, float | None]:
        """Return a brick's shares of the source's MACs and parameters, and its accuracy as a fraction."""
        spent = brick.info.scores
        right = score(logits_of(brick, self.test), self.test.labels).accuracy if self.test else None
        return (spent["macs"] or 0) / self.before.macs, (spent["parameters"] or 0) / self.before.parameters, right


def baseline(job: Job) -> Baseline:
    """Score the source once, for all points."""
    test = job.data.test.select(job.task) if job.data.test is not None else None
    base, inside = restricted(logits_of(job.whole, test), list(job.task), test.labels) if test else (None, None)
    return Baseline(job.cost, test, base, inside)

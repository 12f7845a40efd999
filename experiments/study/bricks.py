"""Bricks that nothing is cut from but the logits of other classes."""

from modellego.brick import Brick
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.data import resolve_classes


def uncut(whole: Brick, classes: str) -> Brick:
    """Return a source with a task's logits only."""
    task = resolve_classes(classes, whole.classes)
    network = whole.captured()
    channels = analyse(network)
    small = cut(plan_cut(network, channels, channels.keep_all(), task))
    (lineage,) = whole.info.sources
    names = tuple(whole.classes[k] for k in task)
    lineage = lineage.model_copy(update={"classes": names, "of": tuple(task)})
    return Brick(small.graph, whole.info.changed(classes=names, sources=(lineage,)))

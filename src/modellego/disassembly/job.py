"""A disassembly that is ready to go: model, data and task brought together, and the model's channels analysed, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from modellego.brick import Assembled, Brick
from modellego.capture.cost import Cost, network_cost
from modellego.capture.network import Network
from modellego.channels import ChannelMap, KeepMask, analyse
from modellego.cut import CutPlan, plan_cut
from modellego.data import Data, DataLike, load_data, resolve_classes
from modellego.errors import CutError, DataError
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


@dataclass(frozen=True)
class Job:
    """The whole brick, its data by its own classes, the task, and the network's channel groups and cost."""

    whole: Brick
    data: Data
    task: tuple[int, ...]
    network: Network
    channels: ChannelMap
    cost: Cost

    def plan(self, keep: KeepMask) -> CutPlan:
        """Return the plan of a cut for the task, `keep` bool [n_groups]."""
        return plan_cut(self.network, self.channels, keep, self.task)


def prepare(
    whole: Brick,
    data: DataLike,
    classes: str | Sequence[str | int],
    mapping: Mapping[str, str | int] | None = None,
) -> Job:
    """Bring model, data and task together, and analyse the model's channels.

    Raises:
        DataError: unknown classes, a class without images, corrupt test images, or channels that do not fit.
        CutError: no channel may be cut.
    """
    images = load_data(data)
    task = resolve_classes(classes, whole.classes)
    known = images.for_model(whole.classes, mapping)
    known = Data(known.train.cached(), None if known.test is None else known.test.cached())
    known.train.need(task)
    wanted = whole.info.preprocess.channels if whole.info.preprocess else None
    known.train.subset(known.train.of_class(task[0])[:1]).check(wanted)
    if known.test is not None:  # it is read last, after all the work: better now than then
        known.test.subset(np.flatnonzero(np.isin(known.test.labels, task))).check(wanted)
    network = whole.captured()
    channels = analyse(network)
    if not channels.cuttable.any():
        raise CutError("this model has no channels that may be cut: run `modellego inspect` to see why")
    return Job(whole, known, tuple(task), network, channels, network_cost(network))


def as_brick(
    model: nn.Module, preprocess: Preprocess | None, class_names: Sequence[str] | None, name: str = "model"
) -> Brick:
    """Return a brick as it is, and capture any other module whole."""
    if isinstance(model, Brick):
        return model
    if isinstance(model, Assembled):
        raise CutError("an assembled model is taken apart brick by brick: disassemble its `.bricks`, assemble again")
    if preprocess is None:
        raise DataError("a bare model needs preprocess=Preprocess(channels, height, width, mean, std)")
    return whole_brick(model, preprocess, class_names, name)

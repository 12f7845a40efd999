"""A disassembly that is ready to go: model, data and task brought together, and the model's channels analysed, once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from modellego.brick import Assembled, Brick
from modellego.capture.cost import Cost, network_cost
from modellego.capture.network import Network
from modellego.channels import ChannelMap, KeepMask, analyse
from modellego.cut import CutPlan, plan_cut
from modellego.data import Data, DataLike, MappingLike, load_data, match
from modellego.disassembly.targets import task_of, task_vocabulary, with_joined
from modellego.errors import CutError, DataError
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


@dataclass(frozen=True)
class Job:
    """The whole brick, its data by its own classes, the task, and the network to cut with its channel groups.

    `cost` is the source's. Where classes are made of several of the source's, the whole brick has them joined and
    first, and the network gives their logits alone; else it is the whole brick's.
    """

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
    mapping: MappingLike | None = None,
) -> Job:
    """Bring model, data and task together, and analyse the model's channels.

    Raises:
        DataError: unknown classes, a class without images, corrupt test images, or channels that do not fit.
        CutError: no channel may be cut.
    """
    images = load_data(data)
    vocabulary, task = task_vocabulary(whole, classes)
    match(images.classes, vocabulary, mapping).need(task)
    known = images.for_model(vocabulary, mapping, task).cached()
    known.train.need(task)
    wanted = whole.info.preprocess.channels if whole.info.preprocess else None
    known.train.subset(known.train.of_class(task[0])[:1]).check(wanted)
    if known.test is not None:  # it is read last, after all the work: better now than then
        known.test.subset(np.flatnonzero(np.isin(known.test.labels, task))).check(wanted)
    cost, network = network_cost(whole.captured()), whole.captured()
    if task_of(whole, classes)[1]:
        whole, network = with_joined(whole, classes)
    channels = analyse(network)
    if not channels.cuttable.any():
        raise CutError("this model has no channels that may be cut: run `modellego inspect` to see why")
    return Job(whole, known, tuple(task), network, channels, cost)


def as_brick(
    model: nn.Module, preprocess: Preprocess | None, class_names: Sequence[str] | None, name: str = "model"
) -> Brick:
    """Return a brick as it is, and capture any other module whole."""
    if isinstance(model, Brick):
        return model
    if isinstance(model, Assembled):
        raise CutError(
            "an assembled model is taken apart brick by brick: take one off (take), disassemble it, and put it in its "
            "place (replace)"
        )
    if preprocess is None:
        raise DataError("a bare model needs preprocess=Preprocess(channels, height, width, mean, std)")
    return whole_brick(model, preprocess, class_names, name)

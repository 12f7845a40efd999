"""What a plan of a cut refuses before anything is cut."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from modellego.capture import Network, capture
from modellego.channels import ChannelMap, analyse
from modellego.cut import cut, plan_cut
from modellego.errors import CutError

from .mechanisms import Net
from .test_mechanisms import SHAPE


def beside_the_image() -> tuple[Network, ChannelMap]:
    """A layer reads the last two of eight channels, and the image beside them."""

    def body(m: Any, x: Tensor) -> Tensor:
        return m.a(torch.cat([x, m.image], 1)[:, 6:])

    class Seen(Net):
        def forward(self, x: Tensor) -> Tensor:
            self.image = x
            return super().forward(x)

    network = capture(Seen(body, a=nn.Conv2d(5, 8, 1)), SHAPE)
    return network, analyse(network)


def test_a_tensor_of_which_the_image_is_left_does_not_end_empty() -> None:
    network, channels = beside_the_image()
    keep = channels.keep_all()
    keep[channels.layer_out["stem.0"][6:]] = False
    small = cut(plan_cut(network, channels, keep, [0, 1]))
    assert small.graph.get_submodule("a").in_channels == 3
    assert small.graph(torch.rand(2, *SHAPE)).shape == (2, 2)


def test_a_tensor_without_a_channel_left_is_refused_by_name() -> None:
    network, channels = beside_the_image()
    keep = channels.keep_all()
    keep[channels.layer_out["a"]] = False
    with pytest.raises(CutError, match=r"all channels of .* would be removed: keep at least one"):
        plan_cut(network, channels, keep)


@pytest.mark.parametrize("task", [[], [6], [-1], [1, 1]])
def test_a_task_is_of_distinct_logits_that_there_are(task: list[int]) -> None:
    network, channels = beside_the_image()
    with pytest.raises(CutError, match=r"are not distinct indices in 0\.\.5"):
        plan_cut(network, channels, channels.keep_all(), task)


def test_a_plan_counts_the_groups_that_stay_without_the_logits() -> None:
    network, channels = beside_the_image()
    keep = np.ones(channels.n_groups, dtype=bool)
    keep[channels.layer_out["a"][:3]] = False
    assert plan_cut(network, channels, keep, [4]).counts == (13, 16)

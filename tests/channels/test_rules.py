"""One test a rule: what an op does to the channels that pass through it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from modellego.capture import capture
from modellego.channels import ChannelMap, analyse

from ..cut.mechanisms import Net

SHAPE = (3, 4, 4)


def analysed(body: Callable[[Any, Tensor], Tensor], features: int = 8, **parts: Any) -> ChannelMap:
    """Analyse a stem of 8 channels, a body, and a linear head behind a mean over positions."""
    return analyse(capture(Net(body, features=features, **parts), SHAPE))


def whole(channels: ChannelMap, layer: str = "stem.0") -> bool:
    """Say whether none of a layer's output channels may be cut."""
    return not channels.cuttable[channels.layer_out[layer]].any()


def free(channels: ChannelMap, layer: str = "stem.0") -> bool:
    """Say whether a layer's output channels may be cut, each by itself."""
    groups = channels.layer_out[layer]
    return bool(channels.cuttable[groups].all()) and len(np.unique(groups)) == len(groups)


# Reductions


def test_a_running_sum_over_channels_keeps_them_whole() -> None:
    channels = analysed(lambda m, x: x.cumsum(1))
    assert whole(channels)
    assert channels.pinned == {"cumsum": "a running sum over channels"}


def test_a_running_sum_over_positions_leaves_channels_free() -> None:
    assert free(analysed(lambda m, x: x.cumsum(2)))


@pytest.mark.parametrize(
    ("name", "reduce"),
    [
        ("mean", lambda x: x.mean(1, keepdim=True)),
        ("amax", lambda x: x.amax(1, keepdim=True)),
        ("amin", lambda x: x.amin(1, keepdim=True)),
        ("max", lambda x: x.max(1, keepdim=True)[0]),
        ("min", lambda x: x.min(1, keepdim=True)[0]),
        ("std", lambda x: x.std(1, keepdim=True)),
        ("var", lambda x: x.var(1, keepdim=True)),
        ("prod", lambda x: x.prod(1, keepdim=True)),
        ("logsumexp", lambda x: x.logsumexp(1, keepdim=True)),
        ("linalg_vector_norm", lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True)),
        ("softmax", lambda x: x.softmax(1)),
        ("log_softmax", lambda x: x.log_softmax(1)),
    ],
)
def test_a_reduction_over_channels_is_said_to_be_over_those_left(name: str, reduce: Callable[[Tensor], Tensor]) -> None:
    channels = analysed(lambda m, x: x * reduce(x))
    assert list(channels.approximate.values()) == [f"{name} over channels: taken over the channels that are left"]
    assert free(channels)


def test_a_sum_over_channels_is_exact() -> None:
    channels = analysed(lambda m, x: x * x.sum(1, keepdim=True))
    assert not channels.approximate
    assert free(channels)


# Padding


@pytest.mark.parametrize("pads", [(-2, 0), (0, -2), (3, -1)])
def test_channels_cropped_by_a_negative_pad_are_kept_whole(pads: tuple[int, int]) -> None:
    channels = analysed(lambda m, x: F.pad(x, (0, 0, 0, 0, *pads)), features=8 + sum(pads))
    assert whole(channels)
    assert list(channels.pinned.values()) == ["pads or crops channels on several axes"]


@pytest.mark.parametrize(("before", "after"), [(2, 3), (2, 0), (0, 3)])
def test_zeros_beside_channels_are_channels_of_their_own(before: int, after: int) -> None:
    channels = analysed(lambda m, x: F.pad(x, (0, 0, 0, 0, before, after)), features=8 + before + after)
    groups = channels.layer_in["head"]
    np.testing.assert_array_equal(groups[before : before + 8], channels.layer_out["stem.0"])
    assert len(np.unique(groups)) == 8 + before + after
    assert channels.cuttable[groups].all()


@pytest.mark.parametrize("pads", [(1, 1, 0, 0), (-1, 0, 0, -1), (0, 0, 2, 0)])
def test_padding_or_cropping_positions_leaves_channels_free(pads: tuple[int, ...]) -> None:
    assert free(analysed(lambda m, x: F.pad(x, pads)))


# Windows that slide along the channels


def windowed(window: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...] = (0, 0, 0)) -> Any:
    return lambda m, x: F.avg_pool3d(x[:, None], window, stride, padding)[:, 0]


def test_a_window_over_channels_keeps_those_beside_which_zeros_stand() -> None:
    def body(m: Any, x: Tensor) -> Tensor:
        return F.avg_pool3d(F.pad(x[:, None], (0, 0, 0, 0, 1, 1)), (3, 1, 1), 1)[:, 0]

    channels = analysed(body)
    np.testing.assert_array_equal(channels.layer_in["head"], channels.layer_out["stem.0"])
    assert free(channels)
    assert "slides over the channels that are left" in "".join(channels.approximate.values())


@pytest.mark.parametrize(
    ("window", "stride", "padding", "features"),
    [
        ((3, 1, 1), (2, 1, 1), (0, 0, 0), 3),
        ((3, 1, 1), (1, 2, 2), (0, 0, 0), 6),
        ((3, 2, 2), (1, 1, 1), (0, 0, 0), 6),
        ((3, 1, 1), (1, 1, 1), (1, 0, 0), 8),
    ],
    ids=["stride over channels", "stride over positions", "window over positions", "padded by the op"],
)
def test_any_other_window_over_channels_ties_them(
    window: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], features: int
) -> None:
    channels = analysed(windowed(window, stride, padding), features=features)
    assert whole(channels)
    assert not channels.approximate

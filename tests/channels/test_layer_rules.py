"""One test a layer: which channels it reads, which it makes, which pass through."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from modellego.capture import capture
from modellego.channels import ChannelMap, analyse

from ..cut.mechanisms import Net

SHAPE = (3, 4, 4)


def analysed(body: Callable[[Any, Tensor], Tensor], features: int = 8, **parts: Any) -> ChannelMap:
    """Analyse a stem of 8 channels, a body, and a linear head behind a mean over positions."""
    return analyse(capture(Net(body, features=features, **parts), SHAPE))


def of_model(model: nn.Module, shape: tuple[int, ...]) -> ChannelMap:
    return analyse(capture(model, shape))


def free(channels: ChannelMap, layer: str) -> bool:
    """Say whether a layer's output channels may be cut, each by itself."""
    groups = channels.layer_out[layer]
    return bool(channels.cuttable[groups].all()) and len(np.unique(groups)) == len(groups)


def whole(channels: ChannelMap, layer: str) -> bool:
    """Say whether none of a layer's output channels may be cut."""
    groups = channels.layer_out[layer]
    return not channels.cuttable[groups[groups >= 0]].any()


# Convolutions


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
def test_a_convolution_reads_its_channels_and_makes_new_ones(kind: type[Any]) -> None:
    rank = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}[kind]
    model = nn.Sequential(kind(2, 5, 1), kind(5, 4, 1), nn.Flatten(), nn.Linear(4 * 2**rank, 3))
    channels = of_model(model, (2, *(2,) * rank))
    assert (channels.layer_in["0"] == -1).all()
    np.testing.assert_array_equal(channels.layer_in["1"], channels.layer_out["0"])
    assert not np.isin(channels.layer_out["1"], channels.layer_out["0"]).any()
    np.testing.assert_array_equal(channels.layer_in["3"], np.repeat(channels.layer_out["1"], 2**rank))
    assert free(channels, "0")
    assert free(channels, "1")


def test_readings_name_the_call_its_layer_and_what_it_reads() -> None:
    channels = analysed(lambda m, x: m.a(x), a=nn.Conv2d(8, 4, 1), features=4)
    reading = next(r for r in channels.readers if r.layer == "a")
    np.testing.assert_array_equal(reading.in_groups, channels.layer_out["stem.0"])
    np.testing.assert_array_equal(reading.out_groups, channels.layer_out["a"])
    assert (reading.node, reading.input) == ("a", "relu")


@pytest.mark.parametrize("times", [1, 3])
def test_a_depthwise_convolution_passes_each_channel_to_its_own_outputs(times: int) -> None:
    channels = analysed(lambda m, x: m.a(x), a=nn.Conv2d(8, 8 * times, 3, padding=1, groups=8), features=8 * times)
    np.testing.assert_array_equal(channels.layer_out["a"], np.repeat(channels.layer_out["stem.0"], times))
    assert "a" not in {r.layer for r in channels.readers}


def test_a_grouped_convolution_on_the_image_is_kept_whole() -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 1, groups=2), nn.Flatten(), nn.Linear(32, 2))
    channels = of_model(model, (4, 2, 2))
    assert whole(channels, "0")
    assert channels.pinned["_0"] == "a grouped convolution that reads the image"


def test_a_grouped_convolution_on_the_image_and_more_keeps_both_whole() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Conv2d(3, 5, 1), nn.Conv2d(8, 4, 1, groups=2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.b(torch.cat([x, self.a(x)], 1)).mean((2, 3)))

    channels = of_model(Beside(), (3, 2, 2))
    assert whole(channels, "a")
    assert whole(channels, "b")


def test_a_grouped_convolution_behind_another_layer_may_be_cut() -> None:
    channels = analysed(lambda m, x: m.a(x), a=nn.Conv2d(8, 8, 1, groups=2))
    assert channels.cuttable[channels.layer_out["a"]].all()


def test_a_single_output_channel_has_no_group() -> None:
    channels = analysed(lambda m, x: m.b(m.a(x)), a=nn.Conv2d(8, 1, 1), b=nn.Conv2d(1, 8, 1))
    assert channels.layer_out["a"].tolist() == [-1]
    assert channels.layer_in["b"].tolist() == [-1]


def test_a_layer_called_twice_reads_what_it_makes() -> None:
    channels = analysed(lambda m, x: m.a(m.a(x)), a=nn.Conv2d(8, 8, 1))
    np.testing.assert_array_equal(channels.layer_out["a"], channels.layer_out["stem.0"])
    assert free(channels, "a")


def test_a_layer_called_on_the_image_too_is_kept_whole() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.head = nn.Conv2d(4, 4, 1), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.a(self.a(x)).mean((2, 3)))

    channels = of_model(Twice(), (4, 2, 2))
    assert whole(channels, "a")
    assert "a layer called twice, once on what cannot be cut" in channels.pinned.values()


def slid(kernel: int, padding: int) -> nn.Module:
    return nn.Conv1d(1, 1, kernel, padding=padding, bias=False)


def test_a_kernel_that_slides_along_the_channels_lets_them_pass() -> None:
    channels = analysed(lambda m, x: x * m.a(x.mean((2, 3))[:, None])[:, 0, :, None, None], a=slid(3, 1))
    assert free(channels, "stem.0")
    assert list(channels.approximate.values()) == [
        "a convolution along the channels: it slides over the channels that are left"
    ]
    assert "a" not in channels.layer_in


def test_a_kernel_along_the_channels_that_changes_their_number_keeps_them_whole() -> None:
    channels = analysed(lambda m, x: m.a(x.mean((2, 3))[:, None])[:, 0], a=slid(3, 0), features=6)
    assert whole(channels, "stem.0")
    assert list(channels.pinned.values()) == ["a convolution along the channels that changes their number"]
    assert not channels.approximate


# Linear layers


def test_a_linear_layer_reads_the_last_axis() -> None:
    channels = analysed(lambda m, x: m.a(x.flatten(2).transpose(1, 2)).mean(1), a=nn.Linear(8, 5), features=5)
    np.testing.assert_array_equal(channels.layer_in["a"], channels.layer_out["stem.0"])
    assert free(channels, "a")


def test_a_linear_layer_over_positions_lets_channels_pass() -> None:
    channels = analysed(lambda m, x: m.a(x.flatten(2)).mean(2), a=nn.Linear(16, 9))
    assert "a" not in channels.layer_in
    np.testing.assert_array_equal(channels.layer_in["head"], channels.layer_out["stem.0"])
    assert free(channels, "stem.0")


def test_a_linear_layer_ties_what_lies_on_other_axes() -> None:
    """Channels split over two axes: the layer reads four of them, so the two of each column go together."""
    channels = analysed(lambda m, x: m.a(x.mean((2, 3)).view(-1, 2, 4)).mean(1), a=nn.Linear(4, 5), features=5)
    groups = channels.layer_out["stem.0"]
    np.testing.assert_array_equal(groups[:4], groups[4:])
    assert len(np.unique(groups)) == 4
    np.testing.assert_array_equal(channels.layer_in["a"], groups[:4])


# Norms and slopes


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm2d(8), nn.InstanceNorm2d(8, affine=True), nn.PReLU(8), nn.GroupNorm(8, 8)], ids=str
)
def test_a_weight_for_each_channel_goes_with_it(layer: nn.Module) -> None:
    channels = analysed(lambda m, x: m.a(x), a=layer)
    np.testing.assert_array_equal(channels.layer_in["a"], channels.layer_out["stem.0"])
    np.testing.assert_array_equal(channels.layer_in["head"], channels.layer_out["stem.0"])
    assert free(channels, "stem.0")
    assert not channels.approximate


def test_a_norm_over_an_axis_of_positions_ties_nothing_but_those() -> None:
    channels = of_model(nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(5), nn.Flatten(), nn.Linear(40, 2)), (5, 3))
    assert channels.layer_in["1"].tolist() == [channels.layer_in["1"][0]] * 5


def test_one_slope_for_all_channels_ties_none() -> None:
    channels = analysed(lambda m, x: m.a(x), a=nn.PReLU())
    assert free(channels, "stem.0")
    assert "a" not in channels.layer_in


@pytest.mark.parametrize(("groups", "left"), [(2, 2), (4, 4), (8, 8)])
def test_a_group_norm_ties_the_channels_of_each_group(groups: int, left: int) -> None:
    channels = analysed(lambda m, x: m.a(x), a=nn.GroupNorm(groups, 8))
    rows = channels.layer_out["stem.0"].reshape(groups, -1)
    assert (rows == rows[:, :1]).all()
    assert len(np.unique(rows)) == left
    assert not channels.approximate


def test_a_norm_over_all_channels_is_over_those_left() -> None:
    channels = analysed(lambda m, x: m.a(x), a=nn.GroupNorm(1, 8))
    assert free(channels, "stem.0")
    assert channels.approximate == {"a": "a norm over all channels: taken over the channels that are left"}


def test_a_layer_norm_over_channels_is_over_those_left() -> None:
    channels = analysed(lambda m, x: m.a(x.permute(0, 2, 3, 1)).mean((1, 2)), a=nn.LayerNorm(8))
    assert free(channels, "stem.0")
    np.testing.assert_array_equal(channels.layer_in["a"], channels.layer_out["stem.0"])
    assert channels.approximate == {"a": "a norm over channels: taken over the channels that are left"}


def test_a_layer_norm_over_channels_and_positions_holds_each_channel_everywhere() -> None:
    channels = analysed(lambda m, x: m.a(x), a=nn.LayerNorm([8, 4, 4]))
    assert free(channels, "stem.0")
    np.testing.assert_array_equal(channels.layer_in["a"], np.repeat(channels.layer_out["stem.0"], 16))
    assert channels.approximate


def test_a_layer_norm_over_positions_is_exact() -> None:
    channels = analysed(lambda m, x: m.a(x), a=nn.LayerNorm([4, 4]))
    assert free(channels, "stem.0")
    assert not channels.approximate
    assert "a" not in channels.layer_in


def test_a_layer_norm_over_two_axes_of_channels_leaves_the_longer_free() -> None:
    channels = analysed(lambda m, x: m.a(x.mean((2, 3)).view(-1, 2, 4)).flatten(1), a=nn.LayerNorm([2, 4]))
    groups = channels.layer_out["stem.0"].reshape(2, 4)
    np.testing.assert_array_equal(groups[0], groups[1])
    assert len(np.unique(groups)) == 4


@pytest.mark.parametrize("layer", [nn.Dropout(0.3), nn.Dropout2d(0.3)], ids=str)
def test_dropout_lets_channels_pass(layer: nn.Module) -> None:
    channels = analysed(lambda m, x: m.a(x), a=layer)
    assert free(channels, "stem.0")
    np.testing.assert_array_equal(channels.layer_in["head"], channels.layer_out["stem.0"])

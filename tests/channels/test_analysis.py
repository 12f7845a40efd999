"""Which channels live or die together, what is kept whole, and what is named as cut by definition."""

import numpy as np
import pytest
import torch
from torch import nn

from modellego.capture import capture
from modellego.channels import ChannelMap, analyse

from ..cut.mechanisms import EXACT, Net, conv

SHAPE = (3, 4, 4)


def channel_groups_of(name: str) -> ChannelMap:
    return analyse(capture(EXACT[name](), SHAPE))


def test_residual_ties_both_sides() -> None:
    channels = channel_groups_of("residual")
    np.testing.assert_array_equal(channels.layer_out["stem.0"], channels.layer_out["b.0"])
    assert not np.isin(channels.layer_out["a.0"], channels.layer_out["stem.0"]).any()


def test_shuffle_permutes_ids() -> None:
    channels = channel_groups_of("shuffle")
    a, b = channels.layer_out["stem.0"][:4], channels.layer_out["b.0"]
    np.testing.assert_array_equal(channels.layer_in["head"], np.stack([a, b], 1).ravel())


def test_flatten_repeats_each_channel_over_its_positions() -> None:
    channels = channel_groups_of("flatten")
    np.testing.assert_array_equal(channels.layer_in["head"], np.repeat(channels.layer_out["a.0"], 16))


def test_groups_stay_even() -> None:
    channels = channel_groups_of("grouped")
    rows = channels.layer_out["a.0"].reshape(4, 3)
    assert (rows == rows[:, :1]).all() or (rows == rows[:1]).all()


def test_input_and_logits_are_never_cuttable() -> None:
    channels = channel_groups_of("plain")
    assert (channels.layer_in["stem.0"] == -1).all()
    assert channels.logit_groups is not None
    assert not channels.cuttable[channels.logit_groups].any()


def test_single_channel_gate_ties_nothing() -> None:
    model = Net(lambda m, x: x * m.a(x).sigmoid(), a=nn.Conv2d(8, 1, 1))
    channels = analyse(capture(model, SHAPE))
    assert channels.cuttable[channels.layer_out["stem.0"]].all()


def test_channel_picked_by_number_is_kept_whole_and_named() -> None:
    model = Net(lambda m, x: torch.cat([x, x.roll(1, 1)], 1), features=16)
    channels = analyse(capture(model, SHAPE))
    assert not channels.cuttable[channels.layer_out["stem.0"]].any()
    assert any("picks positions" in reason for reason in channels.pinned.values())


def test_tensor_of_one_set_is_kept_whole_and_named() -> None:
    channels = analyse(capture(Net(lambda m, x: x * x[:, 2].unsqueeze(1)), SHAPE))
    assert not channels.cuttable[channels.layer_out["stem.0"]].any()
    assert "all its channels are tied together" in channels.pinned.values()


def test_norm_over_channels_is_named() -> None:
    model = Net(lambda m, x: m.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), norm=nn.LayerNorm(8))
    assert "norm over channels" in " ".join(analyse(capture(model, SHAPE)).approximate.values())


@pytest.mark.parametrize("name", ["residual", "attention", "csp"])
def test_readings_fit_their_layers(name: str) -> None:
    network = capture(EXACT[name](), SHAPE)
    for reading in analyse(network).readers:
        layer = network.graph.get_submodule(reading.layer)
        width = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.in_features
        assert len(reading.in_groups) == width
        assert len(reading.out_groups) == layer.weight.shape[0]


def test_wide_flatten_is_quick_and_small() -> None:
    import tracemalloc

    model = Net(lambda m, x: m.a(x), features=512 * 49, flat=True, a=conv(8, 512))
    network = capture(model, (3, 7, 7))
    tracemalloc.start()
    channels = analyse(network)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert channels.n_groups == 8 + 512 + 6
    assert peak < 20e6

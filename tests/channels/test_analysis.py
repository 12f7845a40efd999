"""Which channels stay or go together, what is kept whole, and what is named as cut by definition."""

from collections.abc import Callable
from typing import Any

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


# Logits


class Headed(nn.Module):
    """A stem of five channels behind a mean, a head, and what is done with the logits."""

    def __init__(
        self, end: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor], **parts: nn.Module
    ) -> None:
        super().__init__()
        self.stem, self.head, self.end = nn.Conv2d(3, 5, 1), nn.Linear(5, 4), end
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.stem(x).mean((2, 3))
        return self.end(self, features, self.head(features))


@pytest.mark.parametrize(
    ("end", "free"),
    [
        (lambda m, x, y: y, True),
        (lambda m, x, y: y * 2, True),
        (lambda m, x, y: y.softmax(1), False),
        (lambda m, x, y: y + m.more(y), False),
        (lambda m, x, y: m.same(x) + x, False),
        (lambda m, x, y: torch.cat([x[:, :2], x], 1), False),
        (lambda m, x, y: torch.cat([y, y[:, :1]], 1), False),
        (lambda m, x, y: y.view(-1, 2, 2).mean(2), False),
    ],
    ids=[
        "head",
        "scaled",
        "softmax",
        "read by a layer",
        "added to features",
        "features twice",
        "one twice",
        "averaged",
    ],
)
def test_logits_are_cut_only_where_nothing_else_reads_them(end: Any, free: bool) -> None:
    model = Headed(end, more=nn.Linear(4, 4), same=nn.Linear(5, 5))
    channels = analyse(capture(model, SHAPE))
    assert (channels.logit_groups is not None) is free


def test_one_group_to_each_logit_in_order() -> None:
    channels = analyse(capture(Headed(lambda m, x, y: y.flip(1)), SHAPE))
    assert channels.logit_groups is not None
    np.testing.assert_array_equal(channels.logit_groups, channels.layer_out["head"][::-1])


def test_the_image_as_output_has_no_logits_to_cut() -> None:
    channels = analyse(capture(Headed(lambda m, x, y: y[:, :1].expand(-1, 4) * 1), SHAPE))
    assert channels.logit_groups is None


def test_groups_are_numbered_without_gaps() -> None:
    channels = channel_groups_of("residual")
    used = np.unique(np.concatenate([ids.ravel() for ids in channels.ids.values()]))
    assert used[used >= 0].tolist() == list(range(channels.n_groups)) == list(range(len(channels.cuttable)))


# Axes that stay whole


@pytest.mark.parametrize(
    ("name", "pick", "whole"),
    [
        ("select along channels", lambda x: x.select(1, 3)[:, None].expand(-1, 8, -1, -1), True),
        ("select along positions", lambda x: x.select(2, 1)[..., None], False),
        ("unbind along channels", lambda x: torch.stack(x.unbind(1)[:8], 1), True),
        ("unbind along positions", lambda x: x.unbind(2)[0][..., None], False),
        ("roll along channels", lambda x: x.roll(1, 1), True),
        ("roll along positions", lambda x: x.roll((1, 2), (2, 3)), False),
        ("roll along both", lambda x: x.roll((1, 2), (2, 1)), True),
        ("index along channels", lambda x: x[:, [1, 0, 3, 2, 5, 4, 7, 6]], True),
        ("index along positions", lambda x: x[:, :, [1, 0]], False),
        ("repeat along channels", lambda x: x.repeat_interleave(2, 1)[:, ::2], True),
        ("repeat along positions", lambda x: x.repeat_interleave(2, 2), False),
        ("windows along channels", lambda x: x.unfold(1, 1, 1)[..., 0], True),
        ("shuffled", lambda x: nn.functional.channel_shuffle(x, 2), True),
    ],
)  # fmt: skip
def test_an_axis_picked_from_by_number_is_kept_whole(name: str, pick: Any, whole: bool) -> None:
    channels = analyse(capture(Net(lambda m, x: m.a(pick(x)), a=nn.Conv2d(8, 8, 1)), SHAPE))
    cuttable = channels.cuttable[channels.layer_out["stem.0"]]
    assert (not cuttable.any()) if whole else cuttable.all()
    assert any("picks positions along the channels" in reason for reason in channels.pinned.values()) is whole

"""One test a rule: what an op does to the channels that pass through it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
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


# Ops where tensors meet


def test_channels_that_meet_are_tied() -> None:
    channels = analysed(lambda m, x: m.a(x) * m.b(x), a=nn.Conv2d(8, 8, 1), b=nn.Conv2d(8, 8, 1))
    np.testing.assert_array_equal(channels.layer_out["a"], channels.layer_out["b"])
    assert free(channels, "a")


def test_channels_that_meet_the_image_are_kept_whole() -> None:
    class Meets(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.head = nn.Conv2d(3, 3, 1), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head((self.a(x) + x).mean((2, 3)))

    channels = analyse(capture(Meets(), SHAPE))
    assert whole(channels, "a")
    assert "meets a tensor whose positions are no channels" in channels.pinned.values()


def test_only_those_beside_which_the_image_stands_are_kept_whole() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Conv2d(3, 5, 1), nn.Conv2d(3, 8, 1), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head((torch.cat([x, self.a(x)], 1) + self.b(x)).mean((2, 3)))

    channels = analyse(capture(Beside(), SHAPE))
    assert channels.cuttable[channels.layer_out["b"]].tolist() == [False] * 3 + [True] * 5


@pytest.mark.parametrize("shape", [(8, 1, 1), (1, 8, 1, 1), (8, 4, 4)])
def test_a_constant_of_a_number_for_each_channel_goes_with_them(shape: tuple[int, ...]) -> None:
    channels = analysed(lambda m, x: x * m.gain, gain=torch.rand(shape))
    (ids,) = (i for name, i in channels.ids.items() if "gain" in name)
    np.testing.assert_array_equal(ids.ravel(), channels.layer_out["stem.0"])
    assert ids.ndim == len(shape)
    assert free(channels)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 4, 4), (1, 1, 1, 1)])
def test_a_constant_without_a_number_for_each_channel_ties_none(shape: tuple[int, ...]) -> None:
    channels = analysed(lambda m, x: x * m.gain, gain=torch.rand(shape))
    assert all((ids < 0).all() for name, ids in channels.ids.items() if "gain" in name)
    assert free(channels)


def given(m: Any, x: Tensor) -> Tensor:
    return m.gain


def given_to_each_image(m: Any, x: Tensor) -> Tensor:
    return m.gain.expand(x.shape[0], -1, -1, -1)


@pytest.mark.parametrize("gain", [given, given_to_each_image])
def test_a_constant_that_meets_two_tensors_ties_them(gain: Callable[[Any, Tensor], Tensor]) -> None:
    channels = analysed(lambda m, x: m.a(x * gain(m, x)) + m.b(m.c(x) * gain(m, x)), a=nn.Conv2d(8, 8, 1),
                        b=nn.Conv2d(8, 8, 1), c=nn.Conv2d(8, 8, 1), gain=torch.rand(1, 8, 1, 1))  # fmt: skip
    np.testing.assert_array_equal(channels.layer_out["c"], channels.layer_out["stem.0"])
    assert free(channels)


def test_a_constant_given_twice_to_each_image_ties_what_it_meets_afterwards() -> None:
    def body(m: Any, x: Tensor) -> Tensor:
        one, other = m.gain.expand(x.shape[0], -1, -1, -1), m.gain.expand(x.shape[0], -1, 4, 4)
        return m.a(x * one) + m.b(m.c(x) * other)

    channels = analysed(body, a=nn.Conv2d(8, 8, 1), b=nn.Conv2d(8, 8, 1), c=nn.Conv2d(8, 8, 1),
                        gain=torch.rand(1, 8, 1, 1))  # fmt: skip
    np.testing.assert_array_equal(channels.layer_out["c"], channels.layer_out["stem.0"])
    assert free(channels)


class Both(nn.Module):
    """A constant meets a tensor one of whose positions is the image's, and one that is all channels."""

    def __init__(self, gain: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Linear(6, 2)
        self.gain, self.given = nn.Parameter(torch.rand(1, 3, 1, 1)), gain

    def forward(self, x: Tensor) -> Tensor:
        beside = torch.cat([x[:, :1], self.a(x)[:, 1:]], 1) * self.given(self, x)
        return self.head(torch.cat([beside, self.b(x) * self.given(self, x)], 1).mean((2, 3)))


@pytest.mark.parametrize("gain", [given, given_to_each_image])
def test_a_number_of_a_constant_that_meets_the_image_stays_and_so_does_what_it_meets_elsewhere(
    gain: Callable[[Any, Tensor], Tensor],
) -> None:
    channels = analyse(capture(Both(gain), SHAPE))
    assert channels.cuttable[channels.layer_out["b"]].tolist() == [False, True, True]


def test_a_constant_by_itself_has_no_channels() -> None:
    channels = analysed(lambda m, x: x * m.gain.sigmoid().sum(), gain=torch.rand(8))
    assert free(channels)


# Positions moved about


def test_a_class_token_takes_the_channels_of_what_it_stands_beside() -> None:
    def body(m: Any, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        return torch.cat([m.token.expand(x.shape[0], -1, -1), x], 1).mean(1)

    channels = analysed(body, token=torch.rand(1, 1, 8))
    (ids,) = (i for name, i in channels.ids.items() if name.endswith("token"))
    np.testing.assert_array_equal(ids.ravel(), channels.layer_out["stem.0"])
    np.testing.assert_array_equal(channels.layer_in["head"], channels.layer_out["stem.0"])
    assert free(channels)


def test_a_constant_put_beside_channels_has_none_of_theirs() -> None:
    def body(m: Any, x: Tensor) -> Tensor:
        return torch.cat([m.more.expand(x.shape[0], -1, -1, -1), x], 1)

    channels = analysed(body, features=10, more=torch.rand(1, 2, 4, 4))
    np.testing.assert_array_equal(channels.layer_in["head"], [-1, -1, *channels.layer_out["stem.0"]])
    assert free(channels)


def test_channels_moved_by_what_is_worked_out_are_kept_whole() -> None:
    channels = analysed(lambda m, x: (y := x.mean((2, 3))).gather(1, y.topk(8)[1]))
    assert whole(channels)


# Pooling


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: F.avg_pool1d(x.flatten(2), 2)[..., None],
        lambda x: F.avg_pool3d(x[:, :, None], (1, 2, 2))[:, :, 0],
        lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    ],
    ids=["max", "adaptive", "larger", "one axis", "three axes", "with indices"],
)
def test_pooled_positions_leave_channels_free(pool: Callable[[Tensor], Tensor]) -> None:
    channels = analysed(lambda m, x: pool(x))
    np.testing.assert_array_equal(channels.layer_in["head"], channels.layer_out["stem.0"])
    assert free(channels)


def test_channels_pooled_together_go_together() -> None:
    channels = analysed(lambda m, x: F.max_pool1d(x.mean((2, 3))[:, None], 2)[:, 0], features=4)
    assert whole(channels)


# Reductions over several axes, indexed sums, ops kept whole


def test_a_reduction_over_branches_ties_them() -> None:
    channels = analysed(
        lambda m, x: torch.stack([m.a(x), m.b(x)], 1).sum(1), a=nn.Conv2d(8, 8, 1), b=nn.Conv2d(8, 8, 1)
    )
    np.testing.assert_array_equal(channels.layer_out["a"], channels.layer_out["b"])
    assert free(channels, "a")
    assert not channels.approximate


@pytest.mark.parametrize(
    "reduce",
    [
        lambda x: x.sum((1, 2, 3))[:, None],
        lambda x: x.sum((-3, -2, -1), keepdim=True)[:, 0, 0],
        lambda x: x.sum(1)[:, :1, 0],
    ],
    ids=["all axes", "all axes kept", "channels"],
)
def test_a_sum_over_everything_leaves_no_channel(reduce: Callable[[Tensor], Tensor]) -> None:
    channels = analysed(lambda m, x: m.a(x).mean((2, 3)) * reduce(x), a=nn.Conv2d(8, 8, 1))
    assert free(channels)
    assert free(channels, "a")


class Gathered(nn.Module):
    """Rows of one tensor are added to those of another, by an index, along an axis."""

    def __init__(self, axis: int, constant: bool) -> None:
        super().__init__()
        self.axis, self.constant = axis, constant
        self.a, self.b, self.head = nn.Linear(3, 6), nn.Linear(3, 6), nn.Linear(6, 2)
        self.register_buffer("index", torch.tensor([1, 0, 2, 0, 3, 1]))

    def forward(self, x: Tensor) -> Tensor:
        base = torch.zeros(1, 6, 6) if self.constant else self.b(x)
        return self.head(base.expand(x.shape[0], -1, -1).index_add(self.axis, self.index, self.a(x)).mean(1))


def test_rows_added_up_by_an_index_keep_their_channels() -> None:
    channels = analyse(capture(Gathered(1, constant=False), (6, 3)))
    np.testing.assert_array_equal(channels.layer_out["a"], channels.layer_out["b"])
    np.testing.assert_array_equal(channels.layer_in["head"], channels.layer_out["a"])
    assert free(channels, "a")


def test_channels_added_up_by_an_index_are_kept_whole() -> None:
    channels = analyse(capture(Gathered(2, constant=False), (6, 3)))
    assert whole(channels, "a")
    assert whole(channels, "b")
    assert "adds up channels by an index" in channels.pinned.values()


def test_an_op_of_no_rule_is_kept_whole_by_name() -> None:
    channels = analysed(lambda m, x: x.sort(1)[0])
    assert whole(channels)
    assert channels.pinned["sort"] == "aten.sort.default is kept whole"

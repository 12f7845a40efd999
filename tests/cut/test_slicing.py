"""Sliced layers: the right rows, memory of their own, the mode they were in."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from modellego.capture import capture
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.cut.slicing import TensorSlicer, slice_layer
from modellego.errors import CutError

from .mechanisms import Net, conv

SHAPE = (3, 4, 4)


def mask(*kept: int) -> np.ndarray:
    return np.array(kept, dtype=bool)


def tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def mixed() -> nn.Module:
    """Sliced and unsliced tensors of every kind: weights, statistics, a bare parameter, a shared layer."""
    return Net(
        lambda m, x: m.b(m.drop(m.slope(m.a(x) * m.gain))) + m.b(x),
        a=conv(8, 8), b=nn.Conv2d(8, 8, 1), gain=torch.rand(1), slope=nn.PReLU(), drop=nn.Dropout(0.5),
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.5, 1.0], ids=["some cut", "nothing cut"])
def test_a_cut_shares_no_memory_with_its_source(share: float) -> None:
    network = capture(mixed(), SHAPE)
    channels = analyse(network)
    keep = np.arange(channels.n_groups) < share * channels.n_groups
    small = cut(plan_cut(network, channels, keep))
    held = {t.untyped_storage().data_ptr() for _, t in tensors(network.graph)}
    shared = [name for name, t in tensors(small.graph) if t.untyped_storage().data_ptr() in held]
    assert shared == []


def test_tied_parameters_stay_tied() -> None:
    weight = nn.Parameter(torch.rand(4, 3))
    slicer = TensorSlicer()
    a, b = slicer(weight, {0: mask(1, 0, 1, 1)}), slicer(weight, {0: mask(1, 0, 1, 1)})
    assert a is b


@pytest.mark.parametrize(
    ("one", "other"),
    [({0: mask(1, 0, 1)}, {0: mask(0, 1, 1)}), ({0: mask(1, 0, 1)}, {1: mask(1, 0, 1)})],
    ids=["other positions", "another axis"],
)
def test_slices_of_one_tensor_that_differ_are_kept_apart(
    one: dict[int, np.ndarray], other: dict[int, np.ndarray]
) -> None:
    tensor = torch.arange(9.0).reshape(3, 3)
    slicer = TensorSlicer()
    slicer(tensor, one)
    (axis, kept), *_ = other.items()
    assert torch.equal(slicer(tensor, other), tensor.index_select(axis, torch.from_numpy(np.flatnonzero(kept))))


@pytest.mark.parametrize("needs_gradient", [True, False])
def test_a_parameter_stays_a_parameter_that_is_trained_or_not(needs_gradient: bool) -> None:
    sliced = TensorSlicer()(nn.Parameter(torch.rand(3), needs_gradient), {0: mask(1, 0, 1)})
    assert isinstance(sliced, nn.Parameter)
    assert sliced.requires_grad is needs_gradient


def test_a_slice_is_contiguous() -> None:
    assert TensorSlicer()(torch.rand(4, 3).t(), {0: mask(1, 1, 1)}).is_contiguous()


@pytest.mark.parametrize("training", [True, False])
def test_a_cut_is_in_the_mode_of_its_source(training: bool) -> None:
    network = capture(mixed(), SHAPE)
    network.graph.train(training)
    channels = analyse(network)
    small = cut(plan_cut(network, channels, channels.keep_all()))
    assert {m.training for m in small.graph.modules()} == {training}


@pytest.mark.parametrize("training", [True, False])
def test_a_layer_keeps_its_own_mode(training: bool) -> None:
    layer = nn.BatchNorm2d(3).train(training)
    assert slice_layer("n", layer, mask(1, 0, 1), mask(1, 0, 1), TensorSlicer()).training is training


@pytest.mark.parametrize(
    ("groups", "kept", "left"),
    [(1, [1, 0, 1, 1, 0, 1], 1), (3, [1, 1, 0, 0, 1, 1], 2), (2, [0, 0, 0, 1, 1, 1], 1), (3, [1] * 6, 3)],
)
def test_a_group_norm_is_that_of_the_groups_left(groups: int, kept: list[int], left: int) -> None:
    """On whole groups, each normalised by itself; one group over all channels stays one, over those left."""
    layer = nn.GroupNorm(groups, 6).double()
    nn.init.uniform_(layer.weight)
    nn.init.uniform_(layer.bias)
    index = torch.from_numpy(np.flatnonzero(kept))
    small = slice_layer("n", layer, mask(*kept), mask(*kept), TensorSlicer())
    assert isinstance(small, nn.GroupNorm)
    assert (small.num_groups, small.num_channels) == (left, len(index))
    x = torch.rand(2, 6, 3, dtype=torch.float64)
    wanted = nn.functional.group_norm(x[:, index], left, layer.weight[index], layer.bias[index])
    torch.testing.assert_close(small(x[:, index]), wanted)


@pytest.mark.parametrize("affine", [True, False])
def test_a_layer_without_weights_of_its_own_is_resized(affine: bool) -> None:
    small = slice_layer(
        "n", nn.BatchNorm2d(4, affine=affine).eval(), mask(1, 0, 1, 0), mask(1, 0, 1, 0), TensorSlicer()
    )
    assert (small.num_features, small(torch.rand(1, 2, 3, 3)).shape[1]) == (2, 2)


def test_a_layer_norm_is_sliced_along_each_of_its_axes() -> None:
    layer = nn.LayerNorm([2, 3])
    nn.init.uniform_(layer.weight)
    box = mask(1, 0, 1, 1, 0, 1)
    small = slice_layer("n", layer, box, box, TensorSlicer())
    assert isinstance(small, nn.LayerNorm)
    assert small.normalized_shape == (2, 2)
    assert torch.equal(small.weight, layer.weight[:, [0, 2]])


@pytest.mark.parametrize(
    ("outputs", "inputs"),
    [([1, 1, 1, 0], [1, 1, 1, 1]), ([1, 1, 1, 1], [1, 1, 0, 1]), ([1, 1, 0, 0], [1, 1, 1, 1]),
     ([1, 0, 0, 1], [1, 0, 0, 1]), ([1, 1, 1, 1], [1, 1, 0, 0])],
    ids=["outputs uneven", "inputs uneven", "a group without outputs", "other channels of each group",
         "outputs of a group without inputs"],
)  # fmt: skip
def test_uneven_groups_are_refused_by_name(outputs: list[int], inputs: list[int]) -> None:
    layer = nn.Conv2d(4, 4, 1, groups=2)
    with pytest.raises(CutError, match=r"the 2 groups of block\.conv would keep unequal numbers of channels"):
        slice_layer("block.conv", layer, mask(*inputs), mask(*outputs), TensorSlicer())


@pytest.mark.parametrize(
    ("inputs", "outputs", "groups"),
    [([0, 0, 1, 1], [0, 0, 1, 1], 1), ([1, 0, 1, 0], [1, 0, 0, 1], 2), ([1, 1, 1, 1], [0, 1, 1, 0], 2)],
    ids=["whole groups go", "the same inputs of every group", "one output of every group"],
)
def test_a_grouped_convolution_computes_what_the_masked_one_does(
    inputs: list[int], outputs: list[int], groups: int
) -> None:
    layer = nn.Conv2d(4, 4, 1, groups=2).double()
    small = slice_layer("c", layer, mask(*inputs), mask(*outputs), TensorSlicer())
    assert isinstance(small, nn.Conv2d)
    assert small.groups == groups
    x = torch.rand(1, 4, 2, 2, dtype=torch.float64) * torch.tensor(inputs)[:, None, None]
    torch.testing.assert_close(small(x[:, mask(*inputs)]), layer(x)[:, mask(*outputs)])

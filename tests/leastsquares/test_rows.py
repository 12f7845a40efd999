"""Rows times the weight matrix are the layer's output, whatever the layer."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modellego.leastsquares import (
    fittable,
    input_rows,
    output_rows,
    per_image,
    pick_positions,
    set_weight_matrix,
    weight_matrix,
)


def product(layer: nn.Module, x: torch.Tensor, positions: torch.Tensor | None) -> torch.Tensor:
    y = layer(x)
    spatial = () if isinstance(layer, nn.Linear) else tuple(y.shape[2:])
    rows = input_rows(layer, x, spatial, positions) @ weight_matrix(layer).float()
    return torch.cat(list(rows), 1)


LAYERS = {
    "plain": (nn.Conv2d(4, 6, 3, bias=False), (4, 7, 6)),
    "strided_padded": (nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False), (4, 7, 6)),
    "dilated": (nn.Conv2d(4, 6, 3, dilation=2, bias=False), (4, 7, 9)),
    "uneven": (nn.Conv2d(4, 6, (1, 5), stride=(2, 1), padding=(0, 2), bias=False), (4, 7, 6)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, padding=1, bias=False), (4, 5, 5)),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, bias=False), (4, 5, 5)),
    "same": (nn.Conv2d(4, 6, 4, padding="same", bias=False), (4, 5, 5)),
    "valid": (nn.Conv2d(4, 6, 2, padding="valid", bias=False), (4, 5, 5)),
    "pointwise": (nn.Conv2d(4, 6, 1, stride=2, bias=False), (4, 5, 5)),
    "conv1d": (nn.Conv1d(4, 6, 3, stride=2, padding=2, bias=False), (4, 9)),
    "conv3d": (nn.Conv3d(2, 3, 3, padding=1, bias=False), (2, 4, 3, 5)),
    "linear": (nn.Linear(4, 6, bias=False), (4,)),
    "tokens": (nn.Linear(4, 6, bias=False), (5, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_all_positions_give_the_output(name: str) -> None:
    layer, shape = LAYERS[name]
    x = torch.randn(3, *shape)
    torch.testing.assert_close(product(layer, x, None), output_rows(layer, layer(x), None), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_sampled_positions_give_those_of_the_output(name: str) -> None:
    layer, shape = LAYERS[name]
    x = torch.randn(3, *shape)
    total = per_image(layer, (1, *layer(x).shape[1:]))
    positions = torch.randint(total, (3, 2))
    torch.testing.assert_close(
        product(layer, x, positions), output_rows(layer, layer(x), positions), atol=1e-5, rtol=1e-4
    )


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    pad=st.integers(0, 3),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 4]),
    size=st.integers(8, 11),
)
def test_any_convolution(kernel: int, stride: int, pad: int, dilation: int, groups: int, size: int) -> None:
    layer = nn.Conv2d(4, 8, kernel, stride, pad, dilation, groups, bias=False)
    x = torch.randn(2, 4, size, size)
    torch.testing.assert_close(product(layer, x, None), output_rows(layer, layer(x), None), atol=1e-5, rtol=1e-4)


def test_weight_matrix_round_trip() -> None:
    layer = nn.Conv2d(4, 6, 3, groups=2)
    before = layer.weight.detach().clone()
    matrix = weight_matrix(layer)
    layer.weight.data.zero_()
    set_weight_matrix(layer, matrix)
    assert torch.equal(layer.weight, before)


def test_positions_are_distinct_within_an_image() -> None:
    picked = pick_positions(torch.arange(5), 20, 7, seed=0)
    assert picked is not None
    assert all(len(set(row.tolist())) == 7 and max(row) < 20 for row in picked)


def test_circular_padding_is_not_fitted() -> None:
    assert not fittable(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"))
    assert not fittable(nn.ConvTranspose2d(2, 2, 3))
    assert math.isclose(per_image(nn.Conv3d(1, 1, 1), (1, 1, 2, 3, 4)), 24)

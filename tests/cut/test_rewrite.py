"""Ops whose arguments speak of a cut axis: rewritten, they compute what the masked source computes."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from modellego.capture import annotate
from modellego.capture.network import Network
from modellego.channels import analyse
from modellego.cut import cut, plan_cut, rescue

from ..reference_masked import masked_reference, randomise, relative_error
from .mechanisms import Net
from .test_mechanisms import SHAPE, check_cut

aten = torch.ops.aten


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("body", "features"),
    [
        (lambda x: x.view(-1, 2, 4, 4, 4).flatten(1, 2), 8),
        (lambda x: x.reshape(x.shape[0], 8, 16)[..., None], 8),
        (lambda x: x.unflatten(1, (2, 4)).flatten(1, 2), 8),
        (lambda x: x[:, :, None].expand(-1, 8, 2, 4, 4).mean(2), 8),
        (lambda x: x[:, :, :1].broadcast_to((x.shape[0], 8, 4, 4)), 8),
        (lambda x: F.pad(x, (0, 0, 0, 0, 0, 3)), 11),
        (lambda x: F.pad(x, (0, 0, 0, 0, 2, 0)), 10),
        (lambda x: F.pad(x, (1, 0, 0, 2, 2, 1)), 11),
        (lambda x: F.pad(F.pad(x, (0, 0, 0, 0, 2, 1)), (0, 0, 0, 0, 1, 0)), 12),
        (lambda x: x[:, 2:7], 5),
        (lambda x: x[:, :5], 5),
        (lambda x: x[:, -3:], 3),
        (lambda x: x[:, 1:8:3], 3),
        (lambda x: x.narrow(1, 3, 4), 4),
        (lambda x: torch.cat(x.split([3, 1, 4], 1)[::-1], 1), 8),
        (lambda x: torch.cat(x.chunk(3, 1)[::-1], 1), 8),
        (lambda x: torch.cat(x.tensor_split(3, 1)[::-1], 1), 8),
        (lambda x: torch.cat(x.split(3, 1)[::-1], 1), 8),
        (lambda x: torch.cat(x.split([1, 7], 1)[::-1], 1), 8),
        (lambda x: torch.cat(x.split(2, 2)[::-1], 2), 8),
        (lambda x: x[:, :, 1:3], 8),
    ],
)
def test_a_cut_equals_the_masked_reference(body: Callable[[Tensor], Tensor], features: int, seed: int) -> None:
    torch.manual_seed(seed)
    model = Net(lambda m, x: m.a(body(x)), a=nn.Conv2d(features, 8, 1))
    assert check_cut(model, SHAPE, torch.float64, 0.5, seed) > 0


@pytest.mark.parametrize(
    ("op", "args", "kwargs"),
    [
        (aten.slice.Tensor, (1, None, 5), {}),
        (aten.slice.Tensor, (), {"dim": 1, "start": 2, "end": 7}),
        (aten.slice.Tensor, (1, 2), {}),
        (aten.split_with_sizes.default, ([5, 3],), {"dim": 1}),
        (aten.split.Tensor, (5,), {"dim": 1}),
        (aten.chunk.default, (2,), {"dim": 1}),
        (aten.split_with_sizes.default, ([1, 7],), {"dim": 1}),
        (aten.split_with_sizes.default, ([7, 1],), {"dim": -3}),
    ],
)
def test_arguments_left_out_or_given_by_name(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A graph from elsewhere may name arguments, or leave them at what torch takes by default."""
    graph = fx.Graph()
    y: Any = graph.call_module("stem", (graph.placeholder("x"),))
    y = graph.call_function(op, (y, *args), kwargs)
    if op is not aten.slice.Tensor:
        y = graph.call_function(aten.relu.default, (graph.call_function(operator.getitem, (y, 0)),))
    y = graph.call_module("head", (graph.call_function(aten.sum.dim_IntList, (y, [2, 3])),))
    graph.output(y)
    root = nn.Module()
    root.stem = nn.Conv2d(3, 8, 1)
    width = op(torch.zeros(1, 8, 1, 1), *args, **kwargs)
    root.head = nn.Linear((width if isinstance(width, Tensor) else width[0]).shape[1], 3)
    module = fx.GraphModule(randomise(root).double(), graph)
    annotate(module, SHAPE)
    network = Network(module, SHAPE)
    channels = analyse(network)
    images = torch.rand(2, *SHAPE, dtype=torch.float64)
    for parity in (0, 1):  # each channel goes once
        keep = channels.keep_all()
        keep[channels.layer_out["stem"][parity::2]] = False
        keep, _ = rescue(channels, keep, np.zeros(channels.n_groups))
        with torch.no_grad():
            found = cut(plan_cut(network, channels, keep, [2, 0])).graph(images)
        assert not keep.all()
        assert relative_error(found, masked_reference(network, channels, keep, [2, 0])(images)) < 1e-10

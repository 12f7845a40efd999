"""In-place ops become pure ones, and a change made through a view reaches all who read its base later."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modellego.capture import capture
from modellego.channels import analyse

from ..cut.mechanisms import Net, conv
from ..reference_masked import randomise

SHAPE = (3, 4, 4)


def _filled_table(x: Tensor) -> Tensor:
    """A table of regions, filled slice by slice, as in Swin's shifted windows."""
    table = x.new_zeros((4, 4))
    for i, rows in enumerate((slice(0, -3), slice(-3, -1), slice(-1, None))):
        table[rows, 1:3] = i + 1
    table[0, 0] = 7.0
    return x + table


def _part(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 2:5] *= 2
    y[:, :, 0].add_(1)
    return y


def _view(x: Tensor) -> Tensor:
    y = x * 1
    y.view(y.shape[0], 8, 16).mul_(3)
    y.unsqueeze(1).add_(0.5)
    y.transpose(2, 3)[:, :, 1:].sub_(0.2)
    return y


def _nested(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 1:7][:, ::2].neg_()
    z = y + 1
    y[:, 0].zero_()
    return y * z


@pytest.mark.parametrize("body", [_filled_table, _part, _view, _nested])
def test_changes_through_views_are_kept(body: Callable[[Tensor], Tensor]) -> None:
    model = randomise(Net(lambda m, x: m.a(body(x)), a=conv(8, 8))).double()
    images = torch.randn(3, *SHAPE, dtype=torch.float64)
    torch.testing.assert_close(capture(model, SHAPE).graph(images), model(images))


def test_filled_table_is_a_constant_and_ties_nothing() -> None:
    network = capture(Net(lambda m, x: m.a(_filled_table(x)), a=conv(8, 8)), SHAPE)
    ops = [str(n.target) for n in network.graph.graph.nodes if n.op == "call_function"]
    assert not any("scatter" in op or "new_zeros" in op for op in ops)
    channels = analyse(network)
    assert channels.cuttable[channels.layer_out["stem.0"]].all()

"""Rounds: one curve over the source's own sets, as usable as that of one pass."""

import numpy as np
import pytest
import torch

from modellego.capture import capture
from modellego.channels import analyse
from modellego.cut import cut
from modellego.evaluate import cost
from modellego.locate import Request, rank
from modellego.refit import rank_in_rounds
from modellego.zoo import build


@pytest.fixture(scope="module")
def request_() -> Request:
    torch.manual_seed(0)
    network = capture(build("resnet20", 5, width=0.25, input_size=16).eval(), (3, 16, 16))
    return Request(network, analyse(network), torch.randn(24, 3, 16, 16), torch.arange(24) % 2 + 2, [3, 2])


@pytest.mark.parametrize("name", ["reconstruction", "contribution"])
def test_each_set_goes_once_and_costs_are_exact(request_: Request, name: str) -> None:
    whole = cost(request_.network).macs, cost(request_.network).parameters
    curve = rank_in_rounds(name, request_, whole, stops=(0.8, 0.6))
    assert len(set(curve.order.tolist())) == len(curve.order)
    assert (curve.order >= 0).all()
    keep = curve.at(macs=0.5)
    assert cost(cut(request_.network, request_.channels, keep, [3, 2])).macs <= 0.5 * whole[0]


def test_before_the_first_stop_it_is_one_pass(request_: Request) -> None:
    whole = cost(request_.network).macs, cost(request_.network).parameters
    one, many = rank("reconstruction", request_, whole), rank_in_rounds("reconstruction", request_, whole, stops=(0.7,))
    point = int(np.flatnonzero(one.macs <= 0.7 * whole[0])[0])
    assert np.array_equal(one.order[:point], many.order[:point])
    assert not np.array_equal(one.order, many.order)

"""Logits of several classes as one: what a network gives with them, and how they are found again."""

import pytest
import torch
from torch import nn

from modellego.capture import capture
from modellego.capture.joined import join_logits, joined_at, unjoined
from modellego.capture.network import Network, annotate
from modellego.channels import analyse


def net(outputs: int = 6) -> Network:
    torch.manual_seed(0)
    return capture(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, outputs)), (5,))


@pytest.mark.parametrize("sizes", [[2, 1, 1, 2], [6], [1, 5], [3, 3], [1, 1, 4]])
def test_probabilities_of_joined_classes_are_the_sums_of_their_members(sizes: list[int]) -> None:
    network, images = net(), torch.randn(9, 5)
    plain = network.graph(images).softmax(1)
    join_logits(network, sizes)
    wanted = torch.stack([part.sum(1) for part in plain.split(sizes, 1)], 1)
    torch.testing.assert_close(network.graph(images).softmax(1), wanted)
    assert network.num_logits == len(sizes)


def test_single_logits_stay_bit_by_bit() -> None:
    network, images = net(), torch.randn(4, 5)
    plain = network.graph(images)
    join_logits(network, [1, 3, 1, 1])
    assert torch.equal(network.graph(images)[:, [0, 2, 3]], plain[:, [0, 4, 5]])


def test_classes_of_one_each_change_nothing() -> None:
    network = net()
    before = len(network.graph.graph.nodes)
    join_logits(network, [1] * 6)
    assert len(network.graph.graph.nodes) == before


def test_joined_logits_are_found_and_taken_apart_again() -> None:
    network, images = net(), torch.randn(3, 5)
    plain = network.graph(images)
    join_logits(network, [1, 2, 3])
    bare, inner = unjoined(network)
    assert inner == (range(1), range(1, 3), range(3, 6))
    assert torch.equal(bare.graph(images), plain)


def test_shapes_are_those_that_a_run_gives() -> None:
    network = net()
    join_logits(network, [2, 4])
    noted = {n.name: n.meta.get("shape") for n in network.graph.graph.nodes}
    again = annotate(network.graph, (5,))
    assert noted == {n.name: n.meta.get("shape") for n in again.graph.graph.nodes}


class Halves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, two = x.split([2, 4], 1)
        return torch.cat([two.logsumexp(1, keepdim=True), one.logsumexp(1, keepdim=True)], 1)


def test_other_ends_are_no_joined_logits() -> None:
    assert joined_at(list(capture(Halves(), (6,)).graph.graph.nodes)[-1].args[0]) is None


def test_members_are_never_cut() -> None:
    network = net()
    join_logits(network, [2, 4])
    found = analyse(network)
    assert found.logit_groups is None
    assert not found.cuttable[found.layer_out["2"]].any()
    assert found.cuttable[found.layer_out["0"]].all()
    assert not found.approximate

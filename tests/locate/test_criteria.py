"""Criteria: each gives a whole curve; what is plainly useless goes first; what needs labels says so."""

import numpy as np
import pytest
import torch
from torch import nn

from modellego.capture import capture
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.errors import CutError
from modellego.evaluation import cost
from modellego.locate import Request, criterion, names, rank
from modellego.locate.criteria import CRITERIA
from modellego.zoo import build


def request(model: nn.Module, shape: tuple[int, ...] = (3, 16, 16), labels: bool = True) -> Request:
    network = capture(model.eval(), shape)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(24, *shape, generator=generator)
    known = torch.arange(24) % 3 if labels else None
    return Request(network, analyse(network), images, known, [0, 1, 2])


def whole(of: Request) -> tuple[int, int]:
    return cost(of.network).macs, cost(of.network).parameters


def resnet() -> nn.Module:
    torch.manual_seed(0)
    return build("resnet20", 5, width=0.25, input_size=16)


@pytest.mark.parametrize("name", [*names(), "obs"])
def test_each_criterion_keeps_a_budget(name: str) -> None:
    of = request(resnet())
    keep = rank(name, of, whole(of)).at(macs=0.5)
    assert cost(cut(plan_cut(of.network, of.channels, keep, of.task))).macs <= 0.5 * whole(of)[0]


@pytest.mark.parametrize("name", names())
def test_twice_the_same(name: str) -> None:
    of = request(resnet())
    first, second = (rank(name, of, whole(of)).order for _ in range(2))
    assert np.array_equal(first, second)


def redundant() -> nn.Module:
    """Channel 2 copies channel 1; channel 4 is read with weight 0."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5))
    model[0].weight.data[2], model[0].bias.data[2] = model[0].weight.data[1], model[0].bias.data[1]
    model[2].weight.data[:, 4] = 0
    return model


def test_reconstruction_removes_what_others_make_up_for() -> None:
    of = request(redundant(), (3, 6, 6))
    order = rank("reconstruction", of, whole(of)).order[:2].tolist()
    first = of.channels.layer_out["0"]
    assert first[4] in order
    assert {first[1], first[2]} & set(order)


@pytest.mark.parametrize("name", ["contribution", "reconstruction"])
def test_unread_channels_are_worth_nothing(name: str) -> None:
    of = request(redundant(), (3, 6, 6))
    assert of.channels.layer_out["0"][4] in rank(name, of, whole(of)).order[:4]


@pytest.mark.parametrize("name", ["reconstruction", "activation", "taylor", "l1", "fpgm", "random"])
def test_labels_are_not_needed(name: str) -> None:
    of = request(redundant(), (3, 6, 6), labels=False)
    assert len(rank(name, of, whole(of))) > 1


def test_contribution_without_labels_is_refused() -> None:
    of = request(redundant(), (3, 6, 6), labels=False)
    with pytest.raises(CutError, match="labelled"):
        rank("contribution", of, whole(of))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    of = request(redundant(), (3, 6, 6))
    with pytest.raises(CutError, match="contribution, reconstruction"):
        rank("magic", of, whole(of))


def test_ones_own_criterion() -> None:
    of = request(redundant(), (3, 6, 6))
    chosen = int(of.channels.layer_out["0"][3])

    @criterion("all_but_one")
    def scores(request: Request) -> np.ndarray:
        found = np.ones(request.channels.n_groups)
        found[chosen] = 0
        return found

    try:
        assert rank("all_but_one", of, whole(of)).order[0] == chosen
    finally:
        CRITERIA.remove("all_but_one")


def test_network_and_mode_are_left_alone() -> None:
    of = request(resnet())
    of.network.graph.train()
    before = {k: v.clone() for k, v in of.network.graph.state_dict().items()}
    rank("reconstruction", of, whole(of))
    assert of.network.graph.training
    assert all(torch.equal(v, of.network.graph.state_dict()[k]) for k, v in before.items())


def test_per_parameter_prefers_other_sets_than_per_mac() -> None:
    of = request(resnet())
    by_macs, by_parameters = (
        rank("reconstruction", of, whole(of), per).at(parameters=0.4) for per in ("macs", "parameters")
    )
    assert not np.array_equal(by_macs, by_parameters)

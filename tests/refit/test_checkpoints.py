"""Checkpoints: the cheapest way of all, and none where maps cannot be kept."""

import itertools

import pytest
import torch
from torch import nn

from modellego.capture import capture
from modellego.capture.network import Network
from modellego.capture.walk import GraphWalk
from modellego.refit import checkpoints
from modellego.refit.checkpoints import execution_order, first_node, place_checkpoints
from modellego.refit.plan import Stage, make_plan


def chain(widths: list[int]) -> Network:
    layers = [m for a, b in itertools.pairwise(widths) for m in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())]
    return capture(nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 16, 2)), (widths[0], 4, 4))


def planned(network: Network) -> tuple[GraphWalk, list[Stage]]:
    stages = make_plan(network)
    return GraphWalk(network.graph, order=execution_order(list(network.graph.graph.nodes), stages)), stages


def price(walk: GraphWalk, stages: list[Stage], chosen: set[int]) -> float:
    """What a choice costs, step by step as a refit goes."""
    spent = checkpoints._running_costs(walk)
    places = [walk.position[first_node(s)] for s in stages]
    held = [sum(map(checkpoints._numbers, walk.needed_from(first_node(s)))) for s in stages]
    image = walk.nodes[0].meta["shape"]
    start, reading, total = 0.0, checkpoints.DECODING * torch.Size(image).numel(), 0.0
    for k in range(len(stages)):
        total += spent[places[k]] - start + reading
        if k in chosen:
            total += checkpoints.KEEPING / 2 * held[k]
            start, reading = spent[places[k]], checkpoints.KEEPING / 2 * held[k]
    return total


@pytest.mark.parametrize("widths", [[3, 4, 4, 4], [3, 64, 2, 64, 2], [3, 8, 16, 32, 64]], ids=str)
def test_no_other_choice_is_cheaper(widths: list[int]) -> None:
    walk, stages = planned(chain(widths))
    numbers = range(len(stages))
    every = [set(c) for n in range(len(stages) + 1) for c in itertools.combinations(numbers, n)]
    found = price(walk, stages, place_checkpoints(walk, stages))
    assert found == pytest.approx(min(price(walk, stages, c) for c in every))


def test_what_has_been_run_costs_its_numbers_and_its_layers_multiplications() -> None:
    walk, _ = planned(chain([3, 4]))
    made = [3 * 16, 4 * 16, 4 * 16, 4 * 16, 2]  # by image, convolution, relu, flatten, linear
    each = [0, 27, 0, 0, 64]
    spent = [0, *itertools.accumulate(n * (m + checkpoints.MAKING) for n, m in zip(made, each, strict=True))]
    assert checkpoints._running_costs(walk)[: len(spent)] == spent


def test_a_network_without_stages_has_none() -> None:
    walk, _ = planned(chain([3, 4]))
    assert place_checkpoints(walk, []) == set()


def test_where_keeping_is_dear_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "KEEPING", 1e15)
    assert place_checkpoints(*planned(chain([3, 4, 4, 4]))) == set()

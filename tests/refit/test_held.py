"""What a refit holds between passes: rows in halves by image, and feature maps as they were."""

import pytest
import torch
from torch import fx, nn

from modellego.capture.walk import GraphWalk
from modellego.refit.held import Frontier, StageRows


@pytest.mark.parametrize("parts", [[6], [1, 5], [3, 3], [1] * 6], ids=str)
def test_halves_are_the_images_of_even_and_odd_number_however_they_come(parts: list[int]) -> None:
    rows = torch.arange(12).reshape(6, 2)  # two rows an image
    with StageRows(10**6) as held:
        start = 0
        for count in parts:
            own = rows[start : start + count].reshape(-1, 1)
            held.add(start, 2, own[None], own, None)
            start += count
        blocks = [(x[0, :, 0].tolist(), target[:, 0].tolist()) for x, target, _, _ in held]
    assert blocks == [([0, 1, 4, 5, 8, 9],) * 2, ([2, 3, 6, 7, 10, 11],) * 2]
    assert held.total == 12


def test_rows_can_be_gone_through_again() -> None:
    with StageRows(0) as held:
        held.add(0, 1, torch.rand(1, 4, 3), torch.rand(4, 2), torch.rand(4, 2))
        first, second = list(held), list(held)
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None)


@pytest.mark.parametrize("memory", [0, 10**6], ids=["on disk", "in memory"])
def test_a_run_from_the_frontier_is_the_whole_run(memory: int) -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.shift = nn.Linear(3, 3), nn.Linear(3, 3), nn.Parameter(torch.rand(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = self.a(x)
            return torch.add(self.b(torch.relu(first)), first) + self.shift

    graph, images = fx.symbolic_trace(Skip()), torch.rand(4, 3)
    walk = GraphWalk(graph)
    middle = next(node for node in walk.nodes if node.name == "b")
    values = walk.run(walk.start(images), stop=middle)
    with Frontier(walk, middle, memory) as frontier:
        frontier.put(0, values)
        for last in (False, True):
            again = walk.run(frontier.get(0, last=last), middle)[walk.output]
            assert torch.equal(again, graph(images))

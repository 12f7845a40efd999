"""The plan: layers are grouped by what their outputs add up to."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modellego.capture import capture
from modellego.refit.plan import make_plan


class Chain(nn.Module):
    """Three branches added one after the other, the first two linear, the last one nonlinear."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.d(F.relu(self.a(x) + self.b(x) + F.gelu(self.c(x))))


def layers(model: nn.Module, shape: tuple[int, ...]) -> list[tuple[str, ...]]:
    return [tuple(str(s.node.target) for s in stage.sites) for stage in make_plan(capture(model, shape))]


def test_terms_of_a_nested_sum_are_fitted_together() -> None:
    assert layers(Chain(), (4,)) == [("c",), ("a", "b"), ("d",)]


def test_what_is_added_besides_is_known() -> None:
    stage = make_plan(capture(Chain(), (4,)))[1]
    assert len(stage.others) == 1
    assert stage.bounds == (0.0, math.inf)


def test_norm_belongs_to_its_layer() -> None:
    (stage, _) = make_plan(
        capture(
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU6(), nn.Flatten(), nn.Linear(16, 2)), (3, 2, 2)
        )
    )
    assert stage.sites[0].norm is not None
    assert stage.bounds == (0.0, 6.0)


def test_norm_before_a_layer_is_not_its_own() -> None:
    class PreActivation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.head = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return self.head((torch.relu(self.norm(y)) + y).mean((2, 3)))

    stage = make_plan(capture(PreActivation(), (3, 4, 4)))[0]
    assert stage.sites[0].norm is None
    assert stage.bounds is None


def test_a_layer_called_twice_is_one_stage() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(torch.relu(self.a(x)))

    (stage,) = make_plan(capture(Twice(), (4,)))
    assert len(stage.calls) == 1

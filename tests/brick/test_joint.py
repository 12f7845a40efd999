"""The joint: its steps, one by one and together, and what does not fit."""

from typing import Any

import pytest
import torch
from torch import nn

from modellego.brick import Joint
from modellego.errors import AssemblyError


@pytest.fixture
def columns() -> torch.Tensor:
    return torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_without_steps_columns_go_through(columns: torch.Tensor) -> None:
    assert torch.equal(Joint()(columns), columns)


def test_scale_and_shift_act_on_each_column(columns: torch.Tensor) -> None:
    scale, shift = torch.arange(4.0), torch.ones(4)
    assert torch.equal(Joint(scale=scale, shift=shift)(columns), columns * scale + shift)


def test_merge_adds_the_probabilities_of_a_group(columns: torch.Tensor) -> None:
    p, merged = columns.softmax(1), Joint(merge=[[3], [0, 2], [1]])(columns).softmax(1)
    torch.testing.assert_close(merged, torch.stack([p[:, 3], p[:, 0] + p[:, 2], p[:, 1]], 1))


def test_merge_of_single_columns_reorders_and_drops_exactly(columns: torch.Tensor) -> None:
    assert torch.equal(Joint(merge=[[2], [0]])(columns), columns[:, [2, 0]])


def test_single_columns_beside_groups_stay_exact(columns: torch.Tensor) -> None:
    torch.testing.assert_close(Joint(merge=[[2], [0, 1]])(columns)[:, 0], columns[:, 2], rtol=0, atol=0)


def test_steps_come_in_order(columns: torch.Tensor) -> None:
    linear = nn.Linear(4, 3).double()
    joint = Joint(linear, torch.full((3,), 2.0), torch.ones(3), [[0, 1], [2]])
    y = linear(columns) * 2 + 1
    torch.testing.assert_close(joint(columns), torch.stack([y[:, :2].logsumexp(1), y[:, 2]], 1))


def test_gradients_of_merged_columns_are_finite(columns: torch.Tensor) -> None:
    columns.requires_grad_()
    Joint(merge=[[0], [1, 2, 3]])(columns).sum().backward()
    assert columns.grad is not None
    assert torch.isfinite(columns.grad).all()


def test_a_joint_without_parameters_has_an_empty_state() -> None:
    assert Joint(merge=[[0, 1]]).state_dict() == {}


@pytest.mark.parametrize(
    "steps",
    [
        {"merge": []},
        {"merge": [[]]},
        {"merge": [[0], [0]]},
        {"merge": [[-1]]},
        {"scale": torch.ones(2, 2)},
        {"shift": torch.ones(2, dtype=torch.int64)},
        {"linear": nn.Identity()},
        {"merge": [list(range(9000))] + [[9000 + i] for i in range(9000)]},
    ],
    ids=lambda s: next(iter(s)),
)
def test_steps_without_sense_are_refused(steps: dict[str, Any]) -> None:
    with pytest.raises(AssemblyError):
        Joint(**steps)


@pytest.mark.parametrize("joint", [Joint(nn.Linear(3, 2)), Joint(scale=torch.ones(5)), Joint(merge=[[4]])], ids=str)
def test_steps_that_do_not_fit_the_columns_are_refused(joint: Joint) -> None:
    with pytest.raises(AssemblyError, match="columns"):
        joint.width(4)


def test_groups_that_are_too_unequal_are_refused() -> None:
    merge = [list(range(10**5)), *([10**5 + i] for i in range(10**5))]
    with pytest.raises(AssemblyError, match="too unequal"):
        Joint(merge=merge)

"""The calibration without labels: the mean prediction meets the prior, and nothing else moves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modellego.assembly.heads import fit_prior
from modellego.errors import AssemblyError
from tests.assembly.heads.problems import accuracy, problem


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(0, 100))
def test_mean_predictions_meet_the_prior(classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(300, classes, generator=generator, dtype=torch.float64)
    prior = torch.rand(classes, generator=generator, dtype=torch.float64) + 0.2
    prior /= prior.sum()
    shift = fit_prior(logits, prior=prior, shrink=1e-9)
    assert torch.allclose((logits + shift).softmax(1).mean(0), prior, atol=1e-4)


def test_it_helps_where_one_brick_is_too_loud() -> None:
    rows, anchor, labels = problem()
    logits = anchor.logits(rows.columns)
    assert accuracy(logits + fit_prior(logits), labels) > accuracy(logits, labels) + 0.05


def test_logits_of_one_class_move_together() -> None:
    logits = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    shift = fit_prior(logits, groups=[[0, 2], [1], [3]])
    assert shift[0] == shift[2] != shift[1]


def test_many_shifts_are_held_small() -> None:
    logits = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([9.0, 0, 0])
    assert fit_prior(logits, shrink=10.0).abs().max() < fit_prior(logits).abs().max()


def test_no_images_are_refused() -> None:
    with pytest.raises(AssemblyError, match="needs images"):
        fit_prior(torch.empty(0, 3))


def test_a_prior_of_another_length_is_refused() -> None:
    with pytest.raises(AssemblyError, match="3 shares"):
        fit_prior(torch.zeros(4, 3), prior=torch.tensor([0.5, 0.5]))

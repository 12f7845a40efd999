"""Weights that stay zero, and are let go afterwards."""

import torch
from torch import nn

from modellego.training.masks import held_at_zero


def test_masked_gradients_are_zero_only_inside() -> None:
    line = nn.Linear(2, 1)
    masks = {"weight": torch.tensor([[1.0, 0.0]])}
    with held_at_zero(line, masks):
        line(torch.ones(1, 2)).sum().backward()
    assert line.weight.grad is not None
    assert line.weight.grad.tolist() == [[1.0, 0.0]]
    line.zero_grad()
    line(torch.ones(1, 2)).sum().backward()
    assert line.weight.grad.tolist() == [[1.0, 1.0]]

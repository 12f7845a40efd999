"""What calibration reads: rows in order, heads side by side, refusals of what does not fit."""

import pytest
import torch

from modellego.assembly.heads import concatenated_head, make_rows
from modellego.errors import AssemblyError


def test_the_concatenated_head_gives_each_brick_its_own_logits() -> None:
    generator = torch.Generator().manual_seed(0)
    heads = [(torch.randn(2, 3, generator=generator), torch.randn(2, generator=generator)) for _ in range(2)]
    parts = [torch.randn(5, 3, generator=generator) for _ in range(2)]
    wanted = torch.cat([x @ w.T + b for x, (w, b) in zip(parts, heads, strict=True)], 1)
    assert torch.allclose(concatenated_head(heads).logits(torch.cat(parts, 1)), wanted, atol=1e-6)


def test_a_bias_of_another_length_is_refused() -> None:
    with pytest.raises(AssemblyError, match="brick 0"):
        concatenated_head([(torch.eye(2), torch.zeros(3))])


def test_rows_of_another_number_are_refused() -> None:
    with pytest.raises(AssemblyError, match="brick 1"):
        make_rows([[torch.zeros(2, 1), torch.zeros(3, 1)]], torch.tensor([0, 1]))


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(AssemblyError, match="not finite"):
        make_rows([[torch.tensor([[float("nan")]])]], torch.tensor([0]))

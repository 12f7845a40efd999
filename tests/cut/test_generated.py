"""Property: whatever the network, the cut one computes what the masked one computes."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from .generated import networks
from .test_mechanisms import check_cut

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@settings(max_examples=15, deadline=None, suppress_health_check=SLOW, print_blob=True)
@given(model=networks(), share=st.sampled_from([0.1, 0.5, 0.9]), seed=st.integers(0, 99))
def test_cut_equals_masked_reference(dtype: torch.dtype, model: nn.Module, share: float, seed: int) -> None:
    source = copy.deepcopy(model)
    check_cut(source, (3, 4, 4), dtype, share, seed)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in source.modules())

"""A cut network computes what its masked source computes, for every mechanism of the field's architectures."""

import numpy as np
import pytest
import torch
from torch import nn

from modellego.capture import annotate, capture
from modellego.channels import analyse
from modellego.cut import cut, plan_cut

from ..reference_masked import masked_reference, random_keep, randomise, relative_error
from .mechanisms import BY_DEFINITION, EXACT

LOGITS = [4, 1, 2]
SHAPE = (3, 4, 4)
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def check_cut(model: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, share: float, seed: int) -> int:
    """Cut at random, compare with the masked reference, and return how many sets went."""
    network = capture(randomise(model, seed).to(dtype), shape)
    channels = analyse(network)
    keep = random_keep(channels, share, seed)
    small = cut(plan_cut(network, channels, keep, LOGITS))
    images = torch.randn(3, *shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        found = small.graph(images)
    expected = masked_reference(network, channels, keep, LOGITS)(images)
    assert relative_error(found, expected) <= TOLERANCE[dtype]
    noted = {n.name: n.meta.get("shape") for n in small.graph.graph.nodes if n.op != "output"}
    annotate(small.graph, shape)
    assert noted == {n.name: n.meta.get("shape") for n in small.graph.graph.nodes if n.op != "output"}
    return int((~keep).sum())


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", [*EXACT, *BY_DEFINITION])
def test_cut_equals_masked_reference(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    assert check_cut((EXACT | BY_DEFINITION)[name](), SHAPE, torch.float64, 0.5, seed) > 0


@pytest.mark.parametrize("name", ["residual", "shuffle", "attention_fused"])
def test_cut_in_float32(name: str) -> None:
    torch.manual_seed(0)
    assert check_cut(EXACT[name](), SHAPE, torch.float32, 0.5, 0) > 0


@pytest.mark.parametrize("name", EXACT)
def test_exact_mechanisms_claim_nothing_by_definition(name: str) -> None:
    assert not analyse(capture(EXACT[name](), SHAPE)).approximate


@pytest.mark.parametrize("name", BY_DEFINITION)
def test_what_is_by_definition_is_said(name: str) -> None:
    assert analyse(capture(BY_DEFINITION[name](), SHAPE)).approximate


@pytest.mark.parametrize("name", ["residual", "gate", "csp", "attention"])
def test_cut_again(name: str) -> None:
    torch.manual_seed(0)
    network = capture(randomise(EXACT[name]()).double(), SHAPE)
    channels = analyse(network)
    once = cut(plan_cut(network, channels, random_keep(channels, 0.8, 1), LOGITS))
    channels = analyse(once)
    keep = random_keep(channels, 0.5, 2)
    twice = cut(plan_cut(once, channels, keep, [2, 0]))
    images = torch.randn(2, *SHAPE, dtype=torch.float64)
    with torch.no_grad():
        found = twice.graph(images)
    assert relative_error(found, masked_reference(once, channels, keep, [2, 0])(images)) <= 1e-10
    assert sum(p.numel() for p in twice.graph.parameters()) < sum(p.numel() for p in once.graph.parameters())


def test_depthwise_ties_out_to_in() -> None:
    channels = analyse(capture(EXACT["depthwise"](), SHAPE))
    np.testing.assert_array_equal(channels.layer_out["a.0"], channels.layer_out["stem.0"])


def test_heads_are_cut_whole() -> None:
    channels = analyse(capture(EXACT["attention"](), SHAPE))
    heads = channels.layer_out["attention.qkv"].reshape(3, 4, 2)
    assert (heads == heads[:1, :, :1]).all()
    assert len(np.unique(heads)) == 4

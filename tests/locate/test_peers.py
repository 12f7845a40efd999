"""Criteria against torch-pruning's own, on layers whose channels are tied to nothing else."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modellego.capture import capture
from modellego.channels import analyse
from modellego.locate import Request
from modellego.locate.criteria import CRITERIA

tp = pytest.importorskip("torch_pruning", reason="torch-pruning is not installed (the extra `benchmark`)")
LAYERS = ("0", "2", "4")


def plain() -> nn.Sequential:
    """Convolutions without bias or norm, so that a filter's weights are all there is of it."""
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, bias=False),
        nn.ReLU(),
        nn.Conv2d(8, 7, 3, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(7, 4),
    ).eval()


def request(model: nn.Module, images: torch.Tensor) -> Request:
    network = capture(model, (3, 10, 10))
    labels = torch.arange(len(images)) % 4
    return Request(network, analyse(network), images, labels, [0, 1, 2, 3])


def drawn(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 10, 10, generator=torch.Generator().manual_seed(3))


def theirs(model: nn.Sequential, layer: str, importance: Any) -> np.ndarray:
    graph = tp.DependencyGraph().build_dependency(model, example_inputs=torch.zeros(1, 3, 10, 10))
    conv = model[int(layer)]
    group = graph.get_pruning_group(conv, tp.prune_conv_out_channels, idxs=list(range(conv.out_channels)))
    found: np.ndarray = importance(group).double().numpy()
    return found


def ours(of: Request, name: str, layer: str) -> np.ndarray:
    return CRITERIA.find(name).scores(of)[of.channels.layer_out[layer]]


@pytest.mark.parametrize("layer", LAYERS)
def test_l1_is_theirs(layer: str) -> None:
    model = plain()
    importance = tp.importance.GroupMagnitudeImportance(p=1, group_reduction="first", normalizer="mean")
    assert ours(request(model, drawn(2)), "l1", layer) == pytest.approx(theirs(model, layer, importance), rel=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_fpgm_is_theirs_where_no_weight_is_negative(layer: str) -> None:
    """Theirs measures distances of |w|^p, the paper of w: the two meet at p = 1 on weights of one sign."""
    model = plain()
    for conv in (model[int(k)] for k in LAYERS):
        conv.weight.data.abs_()
    importance = tp.importance.FPGMImportance(p=1, group_reduction="first", normalizer="mean")
    assert ours(request(model, drawn(2)), "fpgm", layer) == pytest.approx(theirs(model, layer, importance), rel=1e-4)


@pytest.mark.parametrize("layer", LAYERS)
def test_taylor_of_one_sample_is_the_square_of_theirs(layer: str) -> None:
    """Theirs is |sum of weight x gradient| of one batch, which a gate behind the filter gives as well."""
    model, image = plain(), drawn(1)
    F.cross_entropy(model(image), torch.tensor([0])).backward()
    importance = tp.importance.GroupTaylorImportance(group_reduction="first", normalizer=None, multivariable=True)
    wanted = theirs(model, layer, importance) ** 2
    model.zero_grad()
    assert ours(request(model, image), "taylor", layer) == pytest.approx(wanted, rel=1e-3, abs=1e-12)


def test_random_is_a_number_from_0_to_1_for_every_channel_as_theirs() -> None:
    model = plain()
    for found in (ours(request(model, drawn(1)), "random", "2"), theirs(model, "2", tp.importance.RandomImportance())):
        assert found.shape == (8,)
        assert ((found >= 0) & (found < 1)).all()

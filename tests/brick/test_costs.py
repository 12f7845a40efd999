"""Costs against closed forms, and what is not counted is named."""

import pytest
import torch
from torch import nn

from modellego import zoo
from modellego.assembly import assemble
from modellego.capture import capture
from modellego.capture.cost import network_macs
from modellego.evaluation import cost
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(4, 6, 3, padding=1), 6 * 64 * 4 * 9),
        (nn.Conv2d(4, 6, 3, stride=2), 6 * 9 * 4 * 9),
        (nn.Conv2d(4, 8, 3, padding=1, groups=4), 8 * 64 * 1 * 9),
        (nn.Conv2d(4, 4, 3, dilation=2), 4 * 16 * 4 * 9),
    ],
)
def test_convolutions(layer: nn.Conv2d, expected: int) -> None:
    net = nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(layer.out_channels, 3))
    assert network_macs(capture(net, (4, 8, 8)))[0] == expected + layer.out_channels * 3


def test_attention_counts_its_products() -> None:
    class Attend(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = x.flatten(2).transpose(1, 2)
            return self.head((tokens @ tokens.transpose(1, 2) @ tokens).mean(1))

    macs, _ = network_macs(capture(Attend().eval(), (4, 3, 3)))
    assert macs == 9 * 9 * 4 + 9 * 9 * 4 + 4 * 2


def test_what_is_not_counted_is_named() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)
    )
    missed = network_macs(capture(net.eval(), (1, 6, 6)))[1]
    assert "BatchNorm2d" in missed
    assert any("relu" in name.lower() for name in missed)
    assert any("pool" in name.lower() for name in missed)


def test_the_papers_resnet20_has_its_published_size() -> None:
    found = cost(whole_brick(zoo.build("resnet20", 10), Preprocess(3, 32, 32)))
    assert found.parameters == 272_474
    assert 40.5e6 < found.macs < 41e6


def test_an_assembled_model_costs_the_sum_of_its_bricks() -> None:
    bricks = [whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(12, n)), Preprocess(3, 2, 2)) for n in (2, 3)]
    found = cost(assemble(bricks))
    assert found.macs == sum(cost(b).macs for b in bricks)
    assert found.parameters == sum(cost(b).parameters for b in bricks)


def test_bytes_hold_parameters_and_buffers() -> None:
    assert cost(capture(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (1, 2, 2))).bytes == 10 * 4

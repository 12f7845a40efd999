"""A repair of one's own sees the images a batch at a time, and gives what it gives with all of them in memory."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from modellego.capture import capture
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.data.chunks import NetworkInput
from modellego.data.feed import Inputs
from modellego.data.store import ArrayStore
from modellego.preprocess import Frame
from modellego.refit.methods import REFITS, RefitRequest, refit_by, refit_method
from modellego.refit.report import RefitReport

IMAGES = torch.rand(230, 1, 3, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def seen() -> Iterator[list[int]]:
    """Register a repair that shifts the last bias by what is missing on average; gives the sizes of its batches."""
    sizes: list[int] = []

    @refit_method("shift")
    def shift(request: RefitRequest) -> None:
        missing = torch.zeros(3)
        with torch.no_grad():
            for images in request.images:
                sizes.append(len(images))
                missing += (request.plan.network.graph(images) - request.small.graph(images)).sum(0)
            request.small.graph.get_submodule("3").bias += missing / len(request.images)  # type: ignore[operator]

    yield sizes
    REFITS.remove("shift")


def repaired(images: NetworkInput) -> tuple[torch.Tensor, RefitReport]:
    torch.manual_seed(0)
    network = capture(nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 3)), (1, 3, 3))
    channels = analyse(network)
    keep = channels.keep_all()
    keep[channels.layer_out["1"][:3]] = False
    plan = plan_cut(network, channels, keep, (0, 1, 2))
    small = cut(plan)
    report = refit_by("shift", plan, small, images)
    return small.graph.get_submodule("3").bias.detach(), report  # type: ignore[return-value, operator]


def test_decoded_as_they_come_gives_what_memory_gives(seen: list[int]) -> None:
    bias, report = repaired(IMAGES)
    streamed, other = repaired(Inputs(ArrayStore(IMAGES.numpy()), Frame((1, 3, 3)), lambda images: images, 50))
    torch.testing.assert_close(streamed, bias)
    assert other.images == report.images == 230
    assert other.stages[0].after == pytest.approx(report.stages[0].after)
    assert other.stages[0].after < other.stages[0].before


def test_no_batch_is_larger_than_a_hundred(seen: list[int]) -> None:
    repaired(IMAGES)
    assert seen == [100, 100, 30]

"""Refits from outside the package: what they are given, what is checked, what is reported."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from modellego.capture import Network, capture
from modellego.channels import analyse
from modellego.cut import CutPlan, cut, plan_cut
from modellego.data.chunks import NetworkInput
from modellego.data.feed import Inputs
from modellego.data.store import ArrayStore
from modellego.errors import CutError
from modellego.preprocess import Frame
from modellego.refit.methods import REFITS, RefitRequest, refit_by, refit_method
from modellego.refit.report import RefitReport

IMAGES = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
MANY = torch.rand(230, 1, 3, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def plan() -> CutPlan:
    torch.manual_seed(0)
    network = capture(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3)), (3,))
    channels = analyse(network)
    keep = channels.keep_all()
    keep[channels.layer_out["0"][:2]] = False
    return plan_cut(network, channels, keep, task=[2, 0])


Enter = Callable[[Callable[[Network], None]], None]


@pytest.fixture
def enter() -> Iterator[Enter]:
    """Registers a refit `own` that works on the cut network, until the test is over."""

    def registered(function: Callable[[Network], None]) -> None:
        @refit_method("own")
        def own(request: RefitRequest) -> None:
            function(request.small)

    yield registered
    REFITS.remove("own")


def drop_bias(small: Network) -> None:
    del small.graph.get_submodule("2")._parameters["bias"]


def shorten_bias(small: Network) -> None:
    small.graph.get_submodule("2").bias = nn.Parameter(torch.zeros(1))


def spoil_bias(small: Network) -> None:
    nn.init.constant_(small.graph.get_submodule("2").bias, float("inf"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (drop_bias, r"the refit 'own' must leave 2\.bias of shape \[2\]"),
        (shorten_bias, r"the refit 'own' must leave 2\.bias of shape \[2\]"),
        (spoil_bias, r"the refit 'own' leaves numbers in 2\.bias that are not finite"),
    ],
    ids=["gone", "another shape", "not finite"],
)
def test_what_a_refit_leaves_is_checked(
    plan: CutPlan, enter: Enter, spoil: Callable[[Network], None], says: str
) -> None:
    enter(spoil)
    with pytest.raises(CutError, match=says):
        refit_by("own", plan, cut(plan), IMAGES)


def test_the_report_holds_the_share_of_the_logits_that_is_wrong(plan: CutPlan, enter: Enter) -> None:
    """With all weights at zero the logits are zero too: all of them is wrong."""

    def empty(small: Network) -> None:
        for parameter in small.graph.parameters():
            nn.init.zeros_(parameter)

    enter(empty)
    small = cut(plan)
    with torch.no_grad():
        wanted, had = plan.network.graph(IMAGES)[:, [2, 0]], small.graph(IMAGES)
    report = refit_by("own", plan, small, IMAGES.split(4))
    (stage,) = report.stages
    assert stage.before == pytest.approx(float((had - wanted).square().sum() / wanted.square().sum()))
    assert stage.after == 1
    assert (report.images, report.method) == (6, "own")


def test_the_name_of_the_built_in_refit_is_taken() -> None:
    with pytest.raises(CutError, match="there is already a refit 'least_squares'"):
        refit_method("least_squares")(lambda request: None)


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
    bias, report = repaired(MANY)
    streamed, other = repaired(Inputs(ArrayStore(MANY.numpy()), Frame((1, 3, 3)), lambda images: images, 50))
    torch.testing.assert_close(streamed, bias)
    assert other.images == report.images == 230
    assert other.stages[0].after == pytest.approx(report.stages[0].after)
    assert other.stages[0].after < other.stages[0].before


def test_no_batch_is_larger_than_a_hundred(seen: list[int]) -> None:
    repaired(MANY)
    assert seen == [100, 100, 30]

"""Refits from outside the package: what they are given, what is checked, what is reported."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from modellego.capture import Network, capture
from modellego.channels import analyse
from modellego.cut import CutPlan, cut, plan_cut
from modellego.errors import CutError
from modellego.refit.methods import REFITS, RefitRequest, refit_by, refit_method

IMAGES = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))


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

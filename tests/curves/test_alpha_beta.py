"""Curves over alpha and beta: each point is the brick that `disassemble` cuts, and the source stands beside them."""

from dataclasses import replace
from pathlib import Path

import pytest

from modellego.brick import Brick
from modellego.contribution.relevance import Thresholds
from modellego.curves import THRESHOLDS, plot_threshold_curves, thresholds
from modellego.data import Data
from modellego.disassembly.verb import disassemble
from modellego.errors import LegoError
from modellego.evaluation import cost, evaluate


@pytest.mark.parametrize("rule", ["poster", "back_to_front"])
@pytest.mark.parametrize("refit_images", [0, 20])
def test_a_point_is_the_brick_that_disassemble_cuts(whole: Brick, digits: Data, rule: str, refit_images: int) -> None:
    around = Thresholds(rule=rule)  # type: ignore[arg-type]
    found = thresholds(
        whole, digits, "1-3", vary=["linear_beta"], values=[0.45], around=around, refit_images=refit_images
    )
    cut = disassemble(whole, digits, "1-3", thresholds=replace(around, linear_beta=0.45), refit_images=refit_images)
    (point,) = found.points
    assert point.macs == cost(cut).macs / cost(whole).macs
    assert point.parameters == cost(cut).parameters / cost(whole).parameters
    assert point.accuracy == cut.info.scores["brick_accuracy"]


def test_the_source_stands_beside_them(whole: Brick, digits: Data) -> None:
    found = thresholds(whole, digits, "0,4", vary=["conv_beta"], values=[0])
    measured = evaluate(disassemble(whole, digits, "0,4", refit_images=0), digits, source=whole)
    assert (found.base, found.base_restricted) == (measured.base, measured.base_restricted)


def test_nothing_grows_with_beta(whole: Brick, digits: Data) -> None:
    values = [0, 0.2, 0.5, 0.9]
    found = thresholds(whole, digits, "0-4", vary=["conv_beta", "linear_beta"], values=values)
    for name in ("conv_beta", "linear_beta"):
        macs = [p.macs for p in found.points if p.threshold == name]
        assert macs == sorted(macs, reverse=True)
        assert macs[-1] < macs[0]


def test_without_test_images_there_is_no_accuracy(whole: Brick, digits: Data) -> None:
    found = thresholds(whole, digits.train, "0-2", vary=["conv_beta"], values=[0.2])
    assert found.base is None
    assert found.points[0].accuracy is None


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"vary": ["gamma"]}, "no threshold gamma"),
        ({"vary": []}, "no threshold to vary"),
        ({"values": [0.2, 1.5]}, r"\[1.5\] was given"),
        ({"values": []}, "no value"),
    ],
)
def test_what_cannot_be_varied_is_refused(
    whole: Brick, digits: Data, options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(LegoError, match=complaint):
        thresholds(whole, digits, "0-2", **options)  # type: ignore[arg-type]


def test_all_four_are_drawn(whole: Brick, digits: Data, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = thresholds(whole, digits, "0-2", values=[0, 0.5])
    assert {p.threshold for p in found.points} == set(THRESHOLDS)
    plot_threshold_curves(found, tmp_path / "a.png", "three digits")
    assert (tmp_path / "a.png").stat().st_size

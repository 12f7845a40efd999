"""The curve of accuracy against MACs: each point is the brick that `disassemble` cuts to that budget."""

from pathlib import Path

import pytest

from modellego.brick import Brick
from modellego.curves import as_rows, curve, plot_curve
from modellego.data import Data
from modellego.disassembly.verb import disassemble
from modellego.evaluation import cost
from modellego.locate import Budget


@pytest.mark.parametrize("criterion", ["contribution", "l1", None])
def test_a_point_is_the_brick_that_disassemble_cuts(whole: Brick, digits: Data, criterion: str | None) -> None:
    (point,) = curve(whole, digits, "0-2", points=[0.6], criterion=criterion, refit_images=20)
    brick = disassemble(whole, digits, "0-2", budget=Budget(macs=0.6), criterion=criterion, refit_images=20)
    assert point.macs == cost(brick).macs / cost(whole).macs
    assert point.accuracy == brick.info.scores["brick_accuracy"]


def test_points_get_smaller(whole: Brick, digits: Data) -> None:
    rows = as_rows(curve(whole, digits, "0-2", points=[1.0, 0.7, 0.4], criterion="l1", refit_images=0))
    macs = [row["macs"] for row in rows]
    assert all(share <= wanted for share, wanted in zip(macs, [1.0, 0.7, 0.4], strict=True))
    assert macs == sorted(macs, reverse=True)


def test_it_is_drawn(whole: Brick, digits: Data, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    points = curve(whole, digits, "0-2", points=[0.9, 0.5], criterion="l1", refit_images=0)
    plot_curve(points, tmp_path / "a.png", "three digits")
    assert (tmp_path / "a.png").stat().st_size

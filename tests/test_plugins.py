"""Plugins: the example does what its page says, and what a plugin gets wrong is one sentence."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import modellego as ml
from modellego.assembly.heads.registered import CALIBRATIONS, calibration
from modellego.assembly.layouts import LAYOUTS, layout
from modellego.data.load import READERS, reader
from modellego.locate.criteria import CRITERIA, criterion
from modellego.plugins import load_plugin
from modellego.refit.methods import REFITS, refit_method
from modellego.sources.whole import whole_brick

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "plugin.py"
TEN = [str(digit) for digit in range(10)]


@pytest.fixture(autouse=True)
def plugin() -> None:
    load_plugin(EXAMPLE)


@pytest.fixture
def whole() -> ml.Brick:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    return whole_brick(net, ml.Preprocess(1, 8, 8), TEN)


@pytest.fixture
def pair() -> list[ml.Brick]:
    torch.manual_seed(0)
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(64, 2)) for _ in range(2)]
    return [whole_brick(n, ml.Preprocess(1, 8, 8), c) for n, c in zip(nets, (["0", "1"], ["2", "3"]), strict=True)]


@pytest.fixture
def wrong() -> Iterator[None]:
    yield
    for known in (CRITERIA, REFITS, CALIBRATIONS, LAYOUTS, READERS):
        if "wrong" in known:
            known.remove("wrong")


def cut(whole: ml.Brick, **how: object) -> ml.Brick:
    return ml.disassemble(whole, "digits", "0-2", budget=ml.Budget(macs=0.6), refit_images=10, **how)  # type: ignore[arg-type]


def test_the_example_cuts_and_repairs(whole: ml.Brick) -> None:
    brick = cut(whole, criterion="fan_out", refit_by="match_means")
    assert brick.info.cut is not None
    assert brick.info.cut.criterion == "fan_out"
    assert brick.info.refit is not None
    assert brick.info.refit["method"] == "match_means"
    assert brick.info.refit["error_after"] < brick.info.refit["error_before"]


def test_the_example_lays_out_and_calibrates(pair: list[ml.Brick]) -> None:
    made = ml.assemble(pair, layout="reversed_copy", calibrate="centred", data="digits", per_class=20)
    assert "Laid out by a plugin." in made.info.notes
    assert "calibration centred" in made.info.notes


def test_the_example_reads() -> None:
    assert len(ml.load_data("stripes:8").train) == 40


def test_a_plugin_is_loaded_once() -> None:
    load_plugin(EXAMPLE)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ml.CutError, match="'l1' already"):
        criterion("l1")(lambda request: np.ones(request.channels.n_groups))


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("scores", [np.ones(3), "high", -1.0, np.nan])
def test_scores_are_checked(whole: ml.Brick, scores: object) -> None:
    full = scores if not isinstance(scores, float) else None
    criterion("wrong")(lambda r: full if full is not None else np.full(r.channels.n_groups, scores))  # type: ignore[return-value,arg-type]
    with pytest.raises(ml.CutError, match="'wrong' must return one finite score of at least 0"):
        cut(whole, criterion="wrong")


@pytest.mark.usefixtures("wrong")
def test_a_refit_is_checked(whole: ml.Brick) -> None:
    @refit_method("wrong")
    def wrong(request: object) -> None:
        next(request.small.graph.parameters()).data.fill_(torch.nan)  # type: ignore[attr-defined]

    with pytest.raises(ml.CutError, match="not finite"):
        cut(whole, refit_by="wrong")


@pytest.mark.usefixtures("wrong")
def test_a_head_is_checked(pair: list[ml.Brick]) -> None:
    calibration("wrong")(lambda rows, anchor, groups: (anchor.weight[:1], anchor.bias))
    with pytest.raises(ml.AssemblyError, match=r"must return weight \[4, 128\] and bias \[4\]"):
        ml.assemble(pair, calibrate="wrong", data="digits", per_class=6)


@pytest.mark.usefixtures("wrong")
def test_a_layout_is_checked(pair: list[ml.Brick]) -> None:
    layout("wrong")(lambda request: request.bricks[0])
    with pytest.raises(ml.AssemblyError, match="must give the classes 0, 1, 2, 3"):
        ml.assemble(pair, layout="wrong")


@pytest.mark.usefixtures("wrong")
def test_a_reader_is_checked() -> None:
    reader("wrong")(lambda place: [place])  # type: ignore[arg-type,return-value]
    with pytest.raises(ml.DataError, match="must return an ImageSet or Data, not list"):
        ml.load_data("wrong:here")


def test_a_plugin_that_fails_says_where(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("x = 1\ny = x / 0\n")
    with pytest.raises(ml.LegoError, match="fails in line 2: ZeroDivisionError"):
        load_plugin(file)

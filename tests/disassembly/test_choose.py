"""Images that are decoded as they come give the brick that images in memory give; what was measured on few is said."""

import pytest
import torch
from torch import nn

from modellego.brick import Brick
from modellego.data import load_data
from modellego.data.feed import Inputs
from modellego.disassembly import choose, disassemble
from modellego.disassembly.choose import draw_calibration
from modellego.locate import Budget
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


@pytest.fixture
def whole() -> Brick:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10))
    return whole_brick(net, Preprocess(1, 8, 8), [str(k) for k in range(10)])


def test_many_images_are_not_held(whole: Brick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "HELD", 0)
    drawn = draw_calibration(whole, load_data("digits").train, [0, 1], 20, 0)
    assert isinstance(drawn.inputs, Inputs)
    assert isinstance(drawn.held_inputs, Inputs)


@pytest.mark.parametrize("criterion", ["contribution", "reconstruction", "taylor", "hrank"])
def test_decoded_as_they_come_gives_what_memory_gives(
    whole: Brick, criterion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bricks = []
    for held in (choose.HELD, 0):
        monkeypatch.setattr(choose, "HELD", held)
        bricks.append(
            disassemble(whole, "digits", "0-2", budget=Budget(macs=0.6), criterion=criterion, refit_images=20)
        )
    for one, other in zip(*(b.state_dict().values() for b in bricks), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_drop_is_measured_alike_from_files_and_memory(whole: Brick, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    for held in (choose.HELD, 0):
        monkeypatch.setattr(choose, "HELD", held)
        made = disassemble(whole, "digits", "0-2", budget=Budget(max_drop=0.05), criterion="l1", refit_images=20)
        assert made.info.cut is not None
        kept.append(made.info.cut.kept)
    assert kept[0] == kept[1]


def test_a_brick_says_on_how_many_images_sensitivity_was_measured(whole: Brick) -> None:
    how = {"budget": Budget(macs=0.6), "refit_images": 80}
    made = disassemble(whole, "digits", "0-2", criterion="obs", **how)  # type: ignore[arg-type]
    other = disassemble(whole, "digits", "0-2", criterion="l1", **how)  # type: ignore[arg-type]
    assert made.info.cut is not None
    assert other.info.cut is not None
    assert made.info.cut.options["sensitivity_images"] == 60  # a quarter of three times eighty
    assert "sensitivity_images" not in other.info.cut.options

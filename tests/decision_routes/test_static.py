"""Pictures on paper: written, repeatable, and refused in one sentence when they cannot be."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from modellego.decision_routes import RouteGraph, roles, save_picture
from modellego.decision_routes.layout import lay_out
from modellego.drawing.palette import LIGHT
from modellego.errors import LegoError, MissingExtraError


def test_png_has_the_colours_of_the_classes(lenet_graph: RouteGraph, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    save_picture(lenet_graph, tmp_path / "routes.png", classes=["automobile"])
    colours = {colour for _, colour in Image.open(tmp_path / "routes.png").convert("RGB").getcolors(1 << 24)}
    assert ImageColor.getrgb(LIGHT.classes[1]) in colours
    assert ImageColor.getrgb(LIGHT.classes[0]) not in colours


def test_svg_is_the_same_each_time(lenet_graph: RouteGraph, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("one.svg", "two.svg"):
        save_picture(lenet_graph, tmp_path / name, dark=True)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_unknown_class_and_ending_are_refused(lenet_graph: RouteGraph, tmp_path: Path) -> None:
    with pytest.raises(LegoError, match="no class cat"):
        save_picture(lenet_graph, tmp_path / "a.png", classes=["cat"])
    with pytest.raises(LegoError, match=r"must be \.png, \.svg or \.pdf"):
        save_picture(lenet_graph, tmp_path / "a.jpg")


def test_without_matplotlib_the_extra_is_named(
    lenet_graph: RouteGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"modellego\[plot\]"):
        save_picture(lenet_graph, tmp_path / "a.png")


@pytest.mark.parametrize("threshold", [0.0, 0.2, 1.0])
def test_marks_lie_on_the_paper_and_do_not_overlap(any_graph: RouteGraph, threshold: float) -> None:
    plan = lay_out(any_graph, [roles(any_graph, i, threshold) for i in range(len(any_graph.layers))])
    spots = np.concatenate([card.spots for card in plan.cards])
    assert (spots > 0).all()
    assert (spots < plan.size).all()
    for card in plan.cards:
        gaps = np.linalg.norm(card.spots[:, None] - card.spots[None], axis=-1) + np.eye(len(card.spots)) * 9
        assert gaps.min(initial=9) >= card.pitch * 0.999

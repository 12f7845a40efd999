"""Heat maps on paper: written in both themes, repeatable, and refused in one sentence when they cannot be."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modellego.errors import LegoError, MissingExtraError
from modellego.heatmaps import channel_order, class_similarity, draw_classes, draw_samples

RNG = np.random.default_rng(0)
TABLE = RNG.uniform(size=(3, 20))
NAMES = ("cat", "dog", "$fox$")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("sort", [False, True])
def test_classes_are_drawn(tmp_path: Path, dark: bool, sort: bool) -> None:
    pytest.importorskip("matplotlib")
    draw_classes(TABLE, NAMES, tmp_path / "a.png", layer="conv_1", sort=sort, dark=dark)
    corner = Image.open(tmp_path / "a.png").convert("L").getpixel((0, 0))
    assert (corner < 60) == dark


def test_samples_are_drawn_and_their_similarity_returned(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    labels = np.array([2, 0, 0, 2, 2])
    values = RNG.uniform(size=(5, 8))
    found = draw_samples(values, labels, NAMES, tmp_path / "a.svg")
    assert found.within == class_similarity(values, labels).within
    first = (tmp_path / "a.svg").read_bytes()
    draw_samples(values, labels, NAMES, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes() == first


def test_a_hundred_classes_are_named(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    values = RNG.uniform(size=(100, 8))
    sizes = []
    for names in ([f"animal {k}" for k in range(100)], [" "] * 100):
        draw_classes(values, names, tmp_path / "a.svg")
        sizes.append((tmp_path / "a.svg").stat().st_size)
    assert sizes[0] > 1.2 * sizes[1]  # letters are outlines


def test_sorted_samples_are_ordered_by_their_classes_means(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    values = np.eye(3)[:, [2, 0, 1]]  # sorted, a diagonal
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    draw_samples(values, np.arange(3), NAMES, files[0], sort=True)
    draw_samples(np.eye(3), np.arange(3), NAMES, files[1], sort=True)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_channels_are_ordered_by_their_class() -> None:
    order = channel_order(TABLE)
    assert sorted(order) == list(range(20))
    assert (np.diff(TABLE.argmax(0)[order]) >= 0).all()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LegoError, match="but there are 2 classes"):
        draw_classes(TABLE, NAMES[:2], tmp_path / "a.png")
    with pytest.raises(LegoError, match="labels run from 0 to 3"):
        draw_samples(TABLE, np.array([0, 3, 1]), NAMES, tmp_path / "a.png")
    with pytest.raises(LegoError, match="the ending must be"):
        draw_classes(TABLE, NAMES, tmp_path / "a.gif")


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"modellego\[plot\]"):
        draw_classes(TABLE, NAMES, tmp_path / "a.png")

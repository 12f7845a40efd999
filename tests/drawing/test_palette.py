"""Colours can be told from their paper, and from each other by colour-blind readers."""

import itertools

import numpy as np
import pytest

from modellego.drawing.palette import DARK, LIGHT, Palette

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB
_DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson's Oklab, where distances are about as large as they look."""
    lms = np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]])
    lab = np.array([[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]])
    return np.asarray(lab @ np.cbrt(np.clip(lms @ rgb, 0, None)))


def contrast(a: str, b: str) -> float:
    first, second = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] + 0.05 for c in (a, b))
    return float(second / first)


both = pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])


@both
def test_every_colour_stands_out_from_its_paper(palette: Palette) -> None:
    for colour in (*palette.classes, palette.shared):
        assert contrast(colour, palette.band) >= 3, colour


@both
def test_words_are_legible(palette: Palette) -> None:
    assert contrast(palette.ink, palette.paper) >= 7
    assert contrast(palette.muted, palette.paper) >= 4.5


@both
@pytest.mark.parametrize("deficiency", _DEFICIENCIES)
@pytest.mark.parametrize(("count", "apart"), [(3, 0.1), (5, 0.08), (8, 0.05)])
def test_classes_stay_apart(palette: Palette, deficiency: str, count: int, apart: float) -> None:
    seen = [oklab(np.array(_DEFICIENCIES[deficiency]) @ linear(colour)) for colour in palette.classes[:count]]
    for (i, a), (j, b) in itertools.combinations(enumerate(seen), 2):
        assert np.linalg.norm(a - b) >= apart, (palette.classes[i], palette.classes[j])

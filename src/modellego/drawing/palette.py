"""Colours that stay apart for colour-blind readers, on light and on dark paper.

Hues follow Okabe and Ito, "Color Universal Design" (2008), and Paul Tol's "muted" scheme. They are then
moved by a small search so that every colour has a contrast of at least 3:1 against its ground (WCAG 2.1,
1.4.11) and that no two come near each other under simulated protanopia and deuteranopia (Machado et al.
2009); the tests measure both.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Colours of one theme, as CSS hex strings; `classes` is walked round when there are more classes."""

    paper: str
    ink: str
    muted: str
    line: str
    band: str
    shared: str
    unused: str
    classes: tuple[str, ...]


LIGHT = Palette(
    paper="#ffffff",
    ink="#1b1f24",
    muted="#5d6670",
    line="#d9dde2",
    band="#f4f6f8",
    shared="#343a46",
    unused="#b4bcc5",
    classes=("#146aa8", "#cd5002", "#108c6c", "#ce6ca1", "#4990d9", "#bc821c", "#8f406d", "#757b33"),
)
DARK = Palette(
    paper="#14171b",
    ink="#e8eaed",
    muted="#9aa4af",
    line="#31373e",
    band="#1a1e23",
    shared="#dfe3e8",
    unused="#525b65",
    classes=("#38a7fa", "#ed6b0f", "#38a980", "#ea6ccb", "#87ccfb", "#df9c07", "#be5f97", "#c6c455"),
)
SHAPES = ("circle", "square", "diamond", "triangle")  # taken in turn each time the colours are used up


def class_style(index: int, palette: Palette) -> tuple[str, str]:
    """Return the colour and the mark's shape of class number `index`.

    >>> class_style(0, LIGHT), class_style(9, LIGHT)
    (('#146aa8', 'circle'), ('#cd5002', 'square'))
    """
    return palette.classes[index % len(palette.classes)], SHAPES[index // len(palette.classes) % len(SHAPES)]

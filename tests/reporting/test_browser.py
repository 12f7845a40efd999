"""The report in a real browser: it fits a phone and a desk, in both themes, its words and its routes are alive."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from modellego.reporting import ModelSize, ReportData, Width, render_report

Open = Callable[..., Any]
FITS = "const d = document.documentElement; return d.scrollWidth <= d.clientWidth"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_whole_report_loads_and_fits(whole_data: ReportData, open_page: Open, width: int, dark: bool) -> None:
    driver = open_page(render_report(whole_data), width, dark)
    assert driver.get_log("browser") == []
    assert driver.execute_script(FITS)
    shown = "return [...document.querySelectorAll('.lineage')].map(s => getComputedStyle(s).display)"
    assert driver.execute_script(shown) == (["none", "block"] if width < 600 else ["block", "none"])


def test_few_and_many_classes_fit_a_phone(plain_data: ReportData, open_page: Open) -> None:
    driver = open_page(render_report(plain_data), 390)
    assert driver.get_log("browser") == []
    assert driver.execute_script(FITS)


def test_the_routes_are_alive(whole_data: ReportData, open_page: Open) -> None:
    driver = open_page(render_report(whole_data))
    assert driver.execute_script("return document.querySelector('.mlr').routes.model.layers.length") == 2


def test_the_theme_can_be_switched(whole_data: ReportData, open_page: Open) -> None:
    driver = open_page(render_report(whole_data))
    paper = "return getComputedStyle(document.body).backgroundColor"
    before = driver.execute_script(paper)
    driver.execute_script("document.querySelector('.theme-switch').click()")
    assert driver.execute_script(paper) != before


@pytest.mark.parametrize("width", [390, 1280])
def test_a_word_tells_its_meaning_when_it_is_reached(whole_data: ReportData, open_page: Open, width: int) -> None:
    driver = open_page(render_report(whole_data), width)
    driver.execute_script("document.querySelector('.figures .term').focus()")
    gloss = "const g = document.querySelector('.figures .gloss'); return "
    assert "test images" in driver.execute_script(gloss + "g.innerText")
    box = driver.execute_script(gloss + "g.getBoundingClientRect().toJSON()")
    assert box["left"] >= 0
    assert box["right"] <= width
    assert driver.execute_script(FITS)


@pytest.mark.parametrize("width", [390, 1280])
def test_no_label_is_clipped(whole_data: ReportData, open_page: Open, width: int) -> None:
    long = "a class whose name goes on and on, and on, and on"
    classes = (long, *whole_data.classes[1:])
    widths = (Width("features.denseblock4.denselayer16.conv2", 16, 9), *whole_data.widths)
    named = dataclasses.replace(
        whole_data, classes=classes, widths=widths, sizes=(ModelSize(long, 9), ModelSize("b", 4))
    )
    driver = open_page(render_report(named), width)
    assert driver.execute_script(FITS)
    clipped = (
        "return [...document.querySelectorAll('.bar-name, .mlr-chip span, figcaption, dd')]"
        ".filter(n => n.scrollWidth > n.clientWidth + 1 && getComputedStyle(n).overflow !== 'visible')"
        ".map(n => n.outerHTML)"
    )
    assert driver.execute_script(clipped) == []
    beyond = (  # text that reaches out of its drawing
        "return [...document.querySelectorAll('.confusion text, .lineage text')].filter(t => {"
        "const s = t.closest('svg').getBoundingClientRect(), b = t.getBoundingClientRect();"
        "return b.width && s.width && (b.left < s.left - 1 || b.right > s.right + 1 || b.top < s.top - 1)})"
        ".map(t => t.textContent)"
    )
    assert driver.execute_script(beyond) == []

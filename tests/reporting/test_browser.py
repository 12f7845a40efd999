"""The report in a real browser: it fits a phone and a desk, in both themes, and its routes are alive."""

from collections.abc import Callable
from typing import Any

import pytest

from modellego.reporting import ReportData, render_report

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

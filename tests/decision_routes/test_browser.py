"""The page in a real browser: hovering, switches, slider, keys, themes and a phone's width."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modellego.decision_routes import RouteGraph, render_html, roles

from .conftest import resnet

Open = Callable[..., Any]


def hover(driver: Any, layer: int, channel: int) -> str:
    x, y = driver.execute_script("return document.querySelector('.mlr').routes.at(...arguments)", layer, channel)
    where = {"type": "mouseMoved", "x": x, "y": y}
    driver.execute_cdp_cmd("Input.dispatchMouseEvent", where)
    return driver.execute_script("const t = document.querySelector('.mlr-tip'); return t.hidden ? '' : t.innerText")


def shown_roles(driver: Any, layer: int) -> list[int]:
    return driver.execute_script(
        "return [...document.querySelector('.mlr').routes.model.layers[arguments[0]].role]", layer
    )


def set_threshold(driver: Any, value: float) -> None:
    driver.execute_script(
        "const s = document.querySelector('.mlr-slider input'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        value,
    )


def press(driver: Any, *keys: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    canvas = driver.find_element(By.CSS_SELECTOR, ".mlr canvas")
    for key in keys:
        canvas.send_keys(getattr(Keys, key))


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_pages_load_without_complaint_and_fit(any_graph: RouteGraph, open_page: Open, width: int, dark: bool) -> None:
    driver = open_page(render_html(any_graph), width, dark)
    assert driver.get_log("browser") == []
    assert driver.execute_script("const d = document.documentElement; return d.scrollWidth <= d.clientWidth")
    paper = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")


def test_hover_shows_channel_layer_and_contributions(lenet_graph: RouteGraph, open_page: Open) -> None:
    driver = open_page(render_html(lenet_graph))
    for layer, channel in [(1, 0), (3, 119), (4, 40)]:
        words = hover(driver, layer, channel)
        assert f"{lenet_graph.layers[layer].name}, channel {channel}" in words
        for number, name in enumerate(lenet_graph.classes):
            assert name in words
            assert f"{lenet_graph.layers[layer].contribution[number, channel]:.2f}" in words


def test_leaving_a_mark_hides_the_words(lenet_graph: RouteGraph, open_page: Open) -> None:
    driver = open_page(render_html(lenet_graph))
    assert hover(driver, 2, 3)
    driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 5, "y": 5})
    assert driver.execute_script("return document.querySelector('.mlr-tip').hidden")


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.6, 1.0])
def test_slider_sorts_channels_as_python_does(any_graph: RouteGraph, open_page: Open, threshold: float) -> None:
    driver = open_page(render_html(any_graph))
    set_threshold(driver, threshold)
    for index, layer in enumerate(any_graph.layers):
        clear = np.abs(layer.contribution - threshold).min(axis=0, initial=1) > 1e-4  # steps of the packing
        expected = roles(any_graph, index, threshold)
        assert (np.array(shown_roles(driver, index), int)[clear] == expected[clear]).all()


def test_switching_a_class_off_leaves_none_of_its_marks(lenet_graph: RouteGraph, open_page: Open) -> None:
    driver = open_page(render_html(lenet_graph))
    before = driver.execute_script("return document.querySelector('.mlr').routes.edges()")
    driver.execute_script("document.querySelector('.mlr-chip').click()")
    active = np.array([False, True])
    for index in range(len(lenet_graph.layers)):
        expected = roles(lenet_graph, index, lenet_graph.threshold, active)
        assert shown_roles(driver, index) == expected.tolist()
    assert driver.execute_script("return document.querySelector('.mlr').routes.edges()") < before
    assert "only dog" not in driver.execute_script("return document.querySelector('.mlr-key').innerText")


def test_table_and_bars_follow_the_slider(lenet_graph: RouteGraph, open_page: Open) -> None:
    driver = open_page(render_html(lenet_graph))
    set_threshold(driver, 0.5)
    rows = "[...document.querySelectorAll('.mlr-numbers tbody tr')]"
    cells = driver.execute_script(f"return {rows}.map(r => [...r.cells].map(c => c.textContent))")
    for index, (layer, row) in enumerate(zip(lenet_graph.layers, cells, strict=True)):
        role = roles(lenet_graph, index, 0.5)
        counts = [layer.channels, *((role == value).sum() for value in (0, 1, -1, -2))]
        assert row == [layer.name, *(str(count) for count in counts)]
    title = driver.execute_script("return document.querySelector('.mlr-plot [data-layer=\"3\"] title').textContent")
    assert title.startswith("fc1:")


def test_keys_walk_layers_and_channels(lenet_graph: RouteGraph, open_page: Open) -> None:
    driver = open_page(render_html(lenet_graph))
    live = "return document.querySelector('.mlr-live').textContent"
    press(driver, "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_RIGHT")
    first = driver.execute_script(live)
    assert first.startswith("conv2, channel")
    press(driver, "ARROW_DOWN")
    assert driver.execute_script(live) != first
    press(driver, "ARROW_UP")
    assert driver.execute_script(live) == first
    press(driver, "ESCAPE")
    assert driver.execute_script("return document.querySelector('.mlr-tip').hidden")


def test_wide_layers_stay_in_reach_on_a_phone(open_page: Open, any_graph: RouteGraph) -> None:
    driver = open_page(render_html(any_graph), 390)
    last = len(any_graph.layers) - 2 if any_graph.layers[-2].channels else len(any_graph.layers) - 1
    words = hover(driver, last, any_graph.layers[last].channels - 1)
    assert any_graph.layers[last].name in words
    box = driver.execute_script("return document.querySelector('.mlr-tip').getBoundingClientRect().toJSON()")
    assert box["left"] >= 0
    assert box["right"] <= 390


def test_edges_can_be_hidden_and_the_theme_switched(lenet_graph: RouteGraph, open_page: Open) -> None:
    driver = open_page(render_html(lenet_graph))
    pixels = "return document.querySelector('.mlr canvas').toDataURL()"
    wait = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
    driver.execute_async_script(wait)
    seen = {driver.execute_script(pixels)}
    for button in (".mlr-edges", ".theme-switch"):
        driver.execute_script("document.querySelector(arguments[0]).click()", button)
        driver.execute_async_script(wait)
        seen.add(driver.execute_script(pixels))
    assert len(seen) == 3


INJECTED = """<script>window.ran = 'script'</script><img src="x" onerror="window.ran = 'handler'">
<button id="b" onclick="window.ran = 'click'" style="position:fixed">b</button><style>body{opacity:.5}</style>"""


def test_what_is_put_into_the_page_does_not_run(lenet_graph: RouteGraph, open_page: Open) -> None:
    page = render_html(lenet_graph)
    driver = open_page(page.replace("</main>", INJECTED + "</main>"))
    driver.execute_script("document.getElementById('b').click()")
    driver.execute_async_script("setTimeout(arguments[0], 200)")
    assert driver.execute_script("return window.ran || null") is None
    style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    assert driver.execute_script(style, "#b", "position") == "static"
    assert driver.execute_script(style, "body", "opacity") == "1"
    assert driver.execute_script("return document.querySelector('.mlr').routes.model.layers.length") == 6


def test_a_wide_picture_says_that_it_goes_on(open_page: Open) -> None:
    driver = open_page(render_html(resnet()), 390)
    shown = "return [...document.querySelectorAll('.mlr-more')].map(b => !b.hidden)"
    assert driver.execute_script(shown) == [False, True]
    driver.execute_script("document.querySelector('.mlr-map').scrollLeft = 120")
    driver.execute_async_script("setTimeout(arguments[0], 100)")
    assert driver.execute_script(shown) == [True, True]
    driver.execute_script("document.querySelector('.mlr-map').scrollLeft = 1e6")
    driver.execute_async_script("setTimeout(arguments[0], 100)")
    assert driver.execute_script(shown) == [True, False]


@pytest.mark.parametrize("width", [390, 1280])
def test_names_of_layers_stand_whole_and_apart(any_graph: RouteGraph, open_page: Open, width: int) -> None:
    driver = open_page(render_html(any_graph), width)
    boxes = driver.execute_script("return document.querySelector('.mlr').routes.names()")
    assert [box["name"] for box in boxes] == [layer.name for layer in any_graph.layers]
    across = driver.execute_script("return document.querySelector('.mlr-spacer').clientWidth")
    for i, one in enumerate(boxes):
        assert one["left"] >= 0
        assert one["right"] <= across
        for other in boxes[:i]:
            apart = one["left"] >= other["right"] or one["right"] <= other["left"]
            assert apart or abs(one["y"] - other["y"]) >= 12, (one, other)


def test_the_bars_are_named_on_a_phone(open_page: Open) -> None:
    graph = resnet()
    driver = open_page(render_html(graph), 390)
    shown = "return [...document.querySelectorAll('.mlr-plot .bar text')].map(t => t.textContent)"
    assert driver.execute_script(shown) == [layer.name for layer in graph.layers if layer.channels]
    box = "const b = document.querySelector('.mlr-plot'); return [b.clientWidth, b.scrollWidth]"
    width, inside = driver.execute_script(box)
    assert inside > width

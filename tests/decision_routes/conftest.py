"""Route graphs made of random numbers in the shapes of real networks, and a headless browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modellego.decision_routes import RouteEdges, RouteGraph, RouteLayer, RouteLink


class Sketch:
    """Grows a route graph layer by layer from a seeded generator."""

    def __init__(self, classes: tuple[str, ...], seed: int = 0) -> None:
        self.classes, self.rng = classes, np.random.default_rng(seed)
        self.layers: list[RouteLayer] = []
        self.links: list[RouteLink] = []
        self.edges: list[RouteEdges] = []

    def layer(self, name: str, channels: int, *sources: int, kind: str = "conv", skips: tuple[int, ...] = ()) -> int:
        scores = self.rng.beta(0.35, 1.6, size=(len(self.classes), channels))
        if kind == "logits":
            scores = np.eye(len(self.classes), channels)
        self.layers.append(RouteLayer(name, kind, scores))
        here = len(self.layers) - 1
        for source in sources:
            self.links.append(RouteLink(source, here, "weights", name))
            if channels and self.layers[source].channels:
                self.wire(source, here)
        self.links.extend(RouteLink(skip, here, "identity") for skip in skips)
        return here

    def wire(self, source: int, target: int, count: int = 40) -> None:
        a, b = self.layers[source], self.layers[target]
        strength = np.einsum("cp,cq->pqc", a.contribution, b.contribution)
        order = np.argsort(strength.max(2).ravel())[::-1][:count]
        pairs = np.stack(np.unravel_index(order, strength.shape[:2]), 1)
        self.edges.append(RouteEdges(source, target, pairs, strength[pairs[:, 0], pairs[:, 1]]))

    def graph(self, title: str) -> RouteGraph:
        return RouteGraph(self.classes, tuple(self.layers), tuple(self.links), tuple(self.edges), title)


def lenet(classes: tuple[str, ...] = ("dog", "automobile")) -> RouteGraph:
    """The shape of LeNet-5."""
    s = Sketch(classes)
    at = s.layer("input", 1, kind="input")
    for name, n in [("conv1", 6), ("conv2", 16), ("fc1", 120), ("fc2", 84)]:
        at = s.layer(name, n, at)
    s.layer("logits", len(classes), at, kind="logits")
    return s.graph("Decision routes of LeNet-5")


def resnet(classes: tuple[str, ...] = ("dog", "automobile"), width: int = 16) -> RouteGraph:
    """The shape of ResNet-20."""
    s = Sketch(classes, 1)
    at = s.layer("conv1", width, s.layer("input", 3, kind="input"))
    for stage in range(3):
        for block in range(3):
            n = width * 2**stage
            inner = s.layer(f"layer{stage + 1}.{block}.conv1", n, at)
            down = stage > 0 and block == 0
            sources = (inner, at) if down else (inner,)
            at = s.layer(f"layer{stage + 1}.{block}", n, *sources, kind="sum", skips=() if down else (at,))
    s.layer("fc", len(classes), at, kind="logits")
    return s.graph("Decision routes of ResNet-20")


def wide(classes: tuple[str, ...] = ("cat", "dog", "fox", "owl")) -> RouteGraph:
    """Branches that meet in concatenations, and layers of up to 2,048 channels."""
    s = Sketch(classes, 2)
    at = s.layer("stem", 512, s.layer("input", 3, kind="input"))
    for block in range(2):
        one = s.layer(f"b{block}.1x1", 128, at)
        two = s.layer(f"b{block}.3x3", 384, s.layer(f"b{block}.3x3reduce", 96, at))
        three = s.layer(f"b{block}.pool", 64, at)
        here = s.layer(f"b{block}.concat", 0, kind="concat", skips=(one, two, three))
        s.links.append(RouteLink(here, len(s.layers), "weights"))
        at = s.layer(f"mix{block}", 1024 * (block + 1))
        for source in (one, two, three):
            s.wire(source, at)
    s.layer("fc", len(classes), at, kind="logits")
    return s.graph("Wide layers & <branches>")


@pytest.fixture(params=[lenet, resnet, wide], ids=lambda make: make.__name__)
def any_graph(request: pytest.FixtureRequest) -> RouteGraph:
    make: Callable[[], RouteGraph] = request.param
    return make()


@pytest.fixture
def lenet_graph() -> RouteGraph:
    return lenet()


_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A headless Chromium; tests that look at pages are skipped where it or selenium is absent."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("chromium or chromedriver is not installed")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=Service(chromedriver))
    yield driver
    driver.quit()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Callable[..., Any]:
    """Open HTML text in the browser at a width and in a theme; the browser is returned."""

    def show(html: str, width: int = 1280, dark: bool = False) -> Any:
        page = tmp_path / "page.html"
        page.write_text(html, encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        browser.get_log("browser")  # forget what earlier pages said
        browser.get(page.as_uri())
        return browser

    return show

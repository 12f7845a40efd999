"""Report data of made-up models, and the browser of the route tests."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from modellego.decision_routes import RouteGraph, RouteLayer, RouteLink
from modellego.reporting import Example, Lineage, ModelSize, OffTaskConfidence, ReportData, Score, Width

_CONFTEST = Path(__file__).parents[1] / "decision_routes" / "conftest.py"
_spec = importlib.util.spec_from_file_location("routes_conftest", _CONFTEST)
assert _spec is not None
assert _spec.loader is not None
_routes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_routes)
browser, open_page = _routes.browser, _routes.open_page

DOT = (  # a grey pixel
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def _confusion(count: int) -> np.ndarray:
    rng = np.random.default_rng(count)
    return rng.multinomial(50, [1 / count] * count, size=count) + 100 * np.eye(count, dtype=np.int64)


def _graph(classes: tuple[str, ...]) -> RouteGraph:
    rng = np.random.default_rng(3)
    layers = tuple(RouteLayer(name, "conv", rng.uniform(size=(len(classes), 8))) for name in ("conv1", "conv2"))
    return RouteGraph(classes, layers, (RouteLink(0, 1),), title="Routes of air")


@pytest.fixture
def whole_data() -> ReportData:
    """A report with all its sections."""
    classes = ("airplane", "automobile", "apple", "bee")
    sources = (
        Lineage("ten", "source", 10, 272_474, 41_000_000),
        Lineage("hundred", "source", 100, 278_324, 41_200_000),
    )
    bricks = (
        Lineage("air", "brick", 2, 90_000, made_from=sources[:1]),
        Lineage("small", "brick", 2, made_from=sources[1:]),
    )
    rng = np.random.default_rng(0)
    return ReportData(
        title="four things",
        summary="Four classes of two models.",
        classes=classes,
        lineage=Lineage("four things", "assembled", 4, 150_000, 20_000_000, made_from=bricks),
        sizes=(
            ModelSize("ten", 272_474, 41_000_000),
            ModelSize("hundred", 278_324, 41_200_000),
            ModelSize("four things", 150_000, 20_000_000),
        ),
        scores=(Score("base", 0.7, 0.7), Score("base restricted", 0.86, 0.86), Score("four things", 0.831, 0.829)),
        confusion=_confusion(4),
        restricted_per_class=np.array([0.8, 0.9, 0.7, 0.6]),
        groups=("air", "air", "small", "small"),
        off_task=OffTaskConfidence(
            rng.uniform(0.5, 1, 200), rng.uniform(0, 1, 300), 0.875, threshold=0.6, description="Others."
        ),
        routes=(_graph(classes[:2]),),
        widths=(Width("conv1", 16, 9), Width("layer1.0.conv1", 32, 20)),
        facts=(("Criterion", "relative contribution"),),
        notes=("Pooling is not counted.",),
        examples=(
            Example(DOT, "bee", "bee", 0.9),
            Example(DOT, "apple", "bee", 0.6),
            Example(DOT, "automobile", None, None),
            Example(DOT, "fox", None, None, own=False),
            Example(DOT, "owl", "bee", 0.7, own=False),
        ),
        rejects=True,
    )


@pytest.fixture(params=[1, 2, 24, 100])
def plain_data(request: pytest.FixtureRequest) -> ReportData:
    """Reports with little more than a confusion matrix, of few and of many classes."""
    classes = tuple(f"class {index}" for index in range(request.param))
    lineage = Lineage("plain", "brick", len(classes))
    return ReportData("plain", "", classes, lineage, confusion=_confusion(len(classes)))

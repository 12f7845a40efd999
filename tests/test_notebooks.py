"""What a notebook shows of results: tables and pictures, and short lines where they are printed."""

import base64
import re

import numpy as np
import pytest

import modellego as ml
from modellego import zoo
from modellego.curves import ThresholdPoint
from modellego.decision_routes import RouteLayer, RouteLink
from modellego.decision_routes.route_graph import Routes
from modellego.heatmaps.similarity import class_similarity
from modellego.sources.whole import whole_brick

PNG = b"\x89PNG"
GRAPH = ml.RouteGraph(
    ("cat", "dog"),
    (RouteLayer("input", "input", np.ones((2, 3))), RouteLayer("logits", "linear", np.eye(2))),
    (RouteLink(0, 1),),
)


@pytest.fixture(scope="module")
def evaluation() -> ml.Evaluation:
    lenet = zoo.build("lenet5", 10, channels=1, input_size=28)
    brick = whole_brick(lenet, ml.Preprocess(1, 28, 28), [str(digit) for digit in range(10)])
    return ml.evaluate(brick, "digits", latency_batch=2, latency_runs=1)


def test_an_evaluation_prints_in_one_line(evaluation: ml.Evaluation) -> None:
    line = repr(evaluation)
    assert re.match(r"<Evaluation of 10 classes: images \d+, accuracy \d+\.\d %, balanced accuracy", line)
    assert "\n" not in line
    assert "MACs" in line


def test_an_evaluation_shows_every_class(evaluation: ml.Evaluation) -> None:
    shown = evaluation._repr_html_()
    assert shown.count("right: ") == 10
    assert "latency of 2" in shown


def test_results_with_a_picture_show_it() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra plot)")
    points = [ml.CurvePoint(1.0, 1.0, 1.0, 0.9, 0.95), ml.CurvePoint(0.5, 0.5, 0.4, 0.8, 0.95)]
    values = np.linspace(0, 1, 8).reshape(4, 2)
    labels = np.array([0, 0, 1, 1])
    for result in (
        ml.AccuracyCurve(points),
        ml.ThresholdCurves((ThresholdPoint("conv_alpha", 0.1, 0.5, 0.5, 0.9),), 0.9, 0.95),
        ml.HeatMap("conv1", ("cat", "dog"), values[:2], values, labels, class_similarity(values, labels)),
        GRAPH,
    ):
        picture = result._repr_png_()
        assert picture is not None
        assert picture.startswith(PNG)


def test_the_routes_of_a_model_are_shown_one_below_the_other() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra plot)")
    shown = Routes([GRAPH, GRAPH])._repr_html_()
    assert shown is not None
    pictures = re.findall(r'base64,([^"]+)"', shown)
    assert [base64.b64decode(p)[:4] for p in pictures] == [PNG, PNG]


def test_a_curve_is_a_table_without_matplotlib() -> None:
    shown = ml.AccuracyCurve([ml.CurvePoint(0.5, 0.512, 0.4, 0.8, 0.95)])._repr_html_()
    assert "51.2" in shown

"""The page is whole, holds the numbers it was given, and fetches nothing."""

import base64
import json
import re

import numpy as np

from modellego.decision_routes import RouteGraph, RouteLayer, render_html


def payload(page: str) -> dict:
    return json.loads(re.search(r'class="mlr-data">(.*?)</script>', page, re.S)[1])


def test_the_page_holds_the_contributions(any_graph: RouteGraph) -> None:
    layers = payload(render_html(any_graph))["layers"]
    for shown, layer in zip(layers, any_graph.layers, strict=True):
        steps = np.frombuffer(base64.b64decode(shown["contribution"]), "<u2").reshape(layer.contribution.shape)
        np.testing.assert_allclose(steps / 65535, layer.contribution, atol=1e-5)


def test_the_page_fetches_nothing(any_graph: RouteGraph) -> None:
    page = render_html(any_graph)
    assert set(re.findall(r"https?://[^\s'\"]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|iframe)\b|\ssrc=|@import|url\(", page)
    assert "default-src &#x27;none&#x27;" in page


def test_hostile_names_stay_text() -> None:
    evil = "</script><img src=x onerror=alert(1)>{{style}}"
    page = render_html(RouteGraph((evil,), (RouteLayer(evil, evil, np.ones((1, 2))),), title=evil))
    assert "<img" not in page
    assert page.count("</script>") == 2
    assert payload(page)["classes"] == [evil]

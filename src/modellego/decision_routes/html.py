"""The interactive route picture: a route graph becomes one self-contained HTML page, or a piece of one."""

from modellego.decision_routes.page import embed_json, fill, pack_unit, read_asset, text, whole_page
from modellego.decision_routes.route_graph import RouteGraph
from modellego.decision_routes.theme import theme_css
from modellego.drawing.palette import LIGHT, SHAPES

_PACKAGE = "modellego.decision_routes"
_NO_SCRIPT = (
    "<noscript><p>This picture is drawn by a script inside the page; switch scripts on to see it. "
    "Nothing is fetched.</p></noscript>\n"
)
_SCRIPTS = ("model.js", "layout.js", "draw.js", "share.js", "view.js")


def render_html(graph: RouteGraph) -> str:
    """Return a self-contained interactive page of a route graph; it fetches nothing from anywhere.

    >>> import numpy as np
    >>> from modellego.decision_routes import RouteGraph, RouteLayer
    >>> layers = (RouteLayer("conv", "conv", np.ones((1, 4))),)
    >>> page = render_html(RouteGraph(("dog",), layers, title="a <b>"))
    >>> "<title>a &lt;b&gt;</title>" in page, "<b>" in page
    (True, False)
    """
    return whole_page(
        graph.title,
        _subtitle(graph),
        _NO_SCRIPT + render_fragment(graph),
        style=theme_css() + routes_css(),
        script=routes_script(),
        kind="page-wide",
        colophon=("A channel belongs to a class when its relative contribution for that class reaches the threshold."),
    )


def render_fragment(graph: RouteGraph) -> str:
    """Return the picture as a piece of HTML for a page that also holds `routes_css` and `routes_script`."""
    values = {
        "label": text(graph.title),
        "threshold": f"{graph.threshold:.2f}",
        "data": embed_json(_payload(graph)),
    }
    return fill(read_asset(_PACKAGE, "fragment.html"), values)


def routes_css() -> str:
    """Return the style sheet of the route picture, to be put after `theme_css`."""
    return read_asset(_PACKAGE, "routes.css")


def routes_script() -> str:
    """Return the script that brings every route picture on a page to life."""
    body = "\n".join(read_asset(_PACKAGE, name) for name in _SCRIPTS)
    return f"(function () {{\n'use strict';\n{body}\n}})();"


def _subtitle(graph: RouteGraph) -> str:
    channels = sum(layer.channels for layer in graph.layers)
    layers = sum(layer.channels > 0 for layer in graph.layers)
    classes = ", ".join(graph.classes[:4]) + (f" and {len(graph.classes) - 4} more" if len(graph.classes) > 4 else "")
    return f"{classes} · {layers:,} layers · {channels:,} channels"


def _payload(graph: RouteGraph) -> dict[str, object]:
    return {
        "classes": list(graph.classes),
        "threshold": graph.threshold,
        "colours": len(LIGHT.classes),
        "shapes": list(SHAPES),
        "layers": [
            {"name": layer.name, "kind": layer.kind, "n": layer.channels, "column": column,
             "contribution": pack_unit(layer.contribution)}
            for layer, column in zip(graph.layers, graph.columns, strict=True)
        ],
        "links": [
            {"s": link.source, "t": link.target, "kind": link.kind, "via": link.via} for link in graph.links
        ],
        "edges": [
            {"s": edges.source, "t": edges.target, "via": edges.via, "pairs": edges.pairs.ravel().tolist(),
             "weights": pack_unit(edges.weights)}
            for edges in graph.edges
        ],
    }  # fmt: skip

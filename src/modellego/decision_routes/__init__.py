"""Decision routes: which channels carry which class through a network, as a page and as pictures."""

from modellego.decision_routes.collect import collect_routes
from modellego.decision_routes.html import render_fragment, render_html, routes_css, routes_script
from modellego.decision_routes.model import routes
from modellego.decision_routes.route_graph import RouteEdges, RouteGraph, RouteLayer, RouteLink, roles
from modellego.decision_routes.static import save_picture

__all__ = [
    "RouteEdges",
    "RouteGraph",
    "RouteLayer",
    "RouteLink",
    "collect_routes",
    "render_fragment",
    "render_html",
    "roles",
    "routes",
    "routes_css",
    "routes_script",
    "save_picture",
]

"""Capture: any classifier becomes a graph of ATen ops and `nn` layers of two closed lists."""

from modellego.capture.export import capture
from modellego.capture.network import Network, annotate

__all__ = ["Network", "annotate", "capture"]

"""Exporting: a brick as an ONNX file or a PyTorch exported program, checked against the brick it was made from."""

from modellego.exporting.served import Served, metadata
from modellego.exporting.verb import Exported, export

__all__ = ["Exported", "Served", "export", "metadata"]

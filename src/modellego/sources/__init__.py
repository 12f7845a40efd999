"""Finds a source model by name: a callable in a Python file, or a zoo, torchvision or timm network."""

from modellego.sources.given import parse_numbers, parse_size, read_class_names
from modellego.sources.load import Source, load_source
from modellego.sources.weights import fill, misfit, read_weights

__all__ = [
    "Source",
    "fill",
    "load_source",
    "misfit",
    "parse_numbers",
    "parse_size",
    "read_class_names",
    "read_weights",
]

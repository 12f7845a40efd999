"""Disassembly: from a trained classifier and some images per class to a brick for a few of its classes."""

from modellego.disassembly.sampling import Samples
from modellego.disassembly.verb import disassemble

__all__ = ["Samples", "disassemble"]

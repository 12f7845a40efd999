"""The format: how a brick is written to a directory and read back, without pickle, running no code of the file."""

from modellego.brick.format.disk import check_target, is_brick, load, save

__all__ = ["check_target", "is_brick", "load", "save"]

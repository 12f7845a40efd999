"""Reproductions of what the paper shows, each by one command: `modellego paper NAME`."""

from modellego.paper.record import Record
from modellego.paper.registry import Reproduction, find, reproductions
from modellego.paper.run import Run

__all__ = ["Record", "Reproduction", "Run", "find", "reproductions"]

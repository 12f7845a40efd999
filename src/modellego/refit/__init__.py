"""Refit: training-free repair of what a cut broke, layer by layer, in closed form."""

from modellego.refit.stages import refit
from modellego.refit.values import RefitOptions, RefitReport, StageError

__all__ = ["RefitOptions", "RefitReport", "StageError", "refit"]

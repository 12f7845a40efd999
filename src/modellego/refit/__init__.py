"""Refit: training-free repair of what a cut broke, layer by layer, in closed form."""

from modellego.refit.options import RefitOptions
from modellego.refit.report import RefitReport, StageError
from modellego.refit.stages import refit

__all__ = ["RefitOptions", "RefitReport", "StageError", "refit"]

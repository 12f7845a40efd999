"""Curves: accuracy against MACs at several budgets, and accuracy, MACs and parameters over alpha and beta."""

from modellego.curves.alpha_beta import (
    THRESHOLDS,
    VALUES,
    ThresholdCurves,
    ThresholdPoint,
    draw_panels,
    plot_threshold_curves,
    thresholds,
)
from modellego.curves.budgets import POINTS, AccuracyCurve, CurvePoint, as_rows, curve, plot_curve

__all__ = [
    "POINTS",
    "THRESHOLDS",
    "VALUES",
    "AccuracyCurve",
    "CurvePoint",
    "ThresholdCurves",
    "ThresholdPoint",
    "as_rows",
    "curve",
    "draw_panels",
    "plot_curve",
    "plot_threshold_curves",
    "thresholds",
]

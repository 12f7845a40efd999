"""Curves: accuracy against MACs at several budgets, and accuracy, MACs and parameters over alpha and beta."""

from modellego.curves.budgets import POINTS, CurvePoint, accuracy_curve, as_rows, plot_curve
from modellego.curves.thresholds import (
    THRESHOLDS,
    VALUES,
    ThresholdCurves,
    ThresholdPoint,
    draw_panels,
    plot_threshold_curves,
    threshold_curves,
)

__all__ = [
    "POINTS",
    "THRESHOLDS",
    "VALUES",
    "CurvePoint",
    "ThresholdCurves",
    "ThresholdPoint",
    "accuracy_curve",
    "as_rows",
    "draw_panels",
    "plot_curve",
    "plot_threshold_curves",
    "threshold_curves",
]

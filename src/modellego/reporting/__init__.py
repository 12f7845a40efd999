"""Reports: what a brick or assembled model is made of, how well it does and how it behaves, on one page."""

from modellego.reporting.collect import report, report_data
from modellego.reporting.contents import Example, Lineage, ModelSize, OffTaskConfidence, ReportData, Score, Width
from modellego.reporting.html import render_report

__all__ = [
    "Example",
    "Lineage",
    "ModelSize",
    "OffTaskConfidence",
    "ReportData",
    "Score",
    "Width",
    "render_report",
    "report",
    "report_data",
]

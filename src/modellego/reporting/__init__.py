"""Reports: what a brick or assembled model is made of, how well it does and how it behaves, on one page."""

from modellego.reporting.collect import report, report_data
from modellego.reporting.html import render_report
from modellego.reporting.values import Lineage, OffTask, ReportData, Score, Size, Width

__all__ = ["Lineage", "OffTask", "ReportData", "Score", "Size", "Width", "render_report", "report", "report_data"]

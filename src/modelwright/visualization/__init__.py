"""Plots and reports: one plot per file, each drawing what `modelwright.analysis` computed."""

from __future__ import annotations

from modelwright.visualization.confusion import confusion_figure
from modelwright.visualization.history import history_figure
from modelwright.visualization.importance import importance_figure
from modelwright.visualization.report import report_html, write_report
from modelwright.visualization.residuals import residuals_figure

__all__ = [
    "confusion_figure",
    "history_figure",
    "importance_figure",
    "report_html",
    "residuals_figure",
    "write_report",
]

"""Results as numbers: what tables, plots and reports show is computed here."""

from __future__ import annotations

from modelwright.analysis.best import best_trial, pareto_trials
from modelwright.analysis.confusion import Confusion, confusion
from modelwright.analysis.convergence import Convergence, convergence
from modelwright.analysis.edges import EdgeWarning, edge_warnings
from modelwright.analysis.front import Front, pareto_front
from modelwright.analysis.history import ScoreHistory, score_history
from modelwright.analysis.importance import Importances, importances
from modelwright.analysis.report_data import ModelRow, Note, ReportData
from modelwright.analysis.residuals import Residuals, residuals

__all__ = [
    "Confusion",
    "Convergence",
    "EdgeWarning",
    "Front",
    "Importances",
    "ModelRow",
    "Note",
    "ReportData",
    "Residuals",
    "ScoreHistory",
    "best_trial",
    "confusion",
    "convergence",
    "edge_warnings",
    "importances",
    "pareto_front",
    "pareto_trials",
    "residuals",
    "score_history",
]

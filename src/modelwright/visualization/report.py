"""The report of a run: one HTML file that opens anywhere, also without a network."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from modelwright.analysis import ModelRow, ReportData
from modelwright.visualization._page import Page
from modelwright.visualization.confusion import confusion_figure
from modelwright.visualization.history import history_figure
from modelwright.visualization.importance import importance_figure
from modelwright.visualization.residuals import residuals_figure

__all__ = ["report_html", "write_report"]

_MOST_MODELS = 200
_MOST_FAILURES = 50
_NONE = ""


def write_report(path: str | os.PathLike[str], data: ReportData) -> Path:
    """Write the report of a run to an HTML file, whole or not at all.

    Parameters
    ----------
    path : path
        The file; an older one is replaced.
    data : ReportData
        What to show.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingDependencyError
        plotly is not installed.
    """
    target = Path(path)
    content = report_html(data)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        # Names of files can hold bytes that are no text; they show as question marks.
        temporary.write_text(content, encoding="utf-8", errors="replace")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def report_html(data: ReportData) -> str:
    """Return the report as HTML.

    Examples
    --------
    >>> data = ReportData("houses", "today", "regression", "price", "rmse", "minimize", models=())
    >>> "No model was found." in report_html(data)
    True
    """
    page = Page(data.title)
    _headline(page, data)
    _leaderboard(page, data)
    _judgement(page, data)
    _history(page, data)
    _importances(page, data)
    _table_summary(page, data)
    _failures(page, data)
    _for_the_record(page, "Settings", data.settings)
    _for_the_record(page, "Versions", data.versions)
    return page.render()


def _headline(page: Page, data: ReportData) -> None:
    better = "larger is better" if data.direction == "maximize" else "smaller is better"
    page.text(
        f"{data.task.capitalize()}: predicting {data.target!r}, judged by {data.metric} ({better}).", "quiet"
    )
    states = ", ".join(f"{count:,} {state}" for state, count in data.trials.items() if count)
    page.text(f"Written {data.created}." + (f" Trials: {states}." if states else ""), "quiet")
    singles = [row for row in data.models if row.model != "ensemble"]
    figures = [
        ("best single model", singles[0].score if singles else None),
        ("ensemble", data.ensemble_score),
        ("on test rows", data.test_score),
        ("a constant guess on test rows", data.dummy_score),
    ]
    page.figures((label, _number(value)) for label, value in figures if value is not None)


def _leaderboard(page: Page, data: ReportData) -> None:
    page.heading("Leaderboard")
    if not data.models:
        page.text("No model was found.", "error")
        return
    head = ["", "model", data.metric, "±", "test", "fit s", "predict s", "size", "method and choices"]
    shown = data.models[:_MOST_MODELS]
    page.table(head, [_model_cells(row) for row in shown], numbers=(0, 2, 3, 4, 5, 6, 7), names=(1,))
    if len(data.models) > len(shown):
        page.text(f"And {len(data.models) - len(shown):,} more.", "quiet")


def _model_cells(row: ModelRow) -> list[str]:
    return [
        str(row.rank),
        row.model,
        _number(row.score),
        _number(row.score_std, 3),
        _number(row.test_score),
        _number(row.fit_s, 3),
        _number(row.predict_s, 3),
        _size(row.size_bytes),
        row.partition,
    ]


def _judgement(page: Page, data: ReportData) -> None:
    """Show where the saved model is right and where it errs."""
    on = f" on {data.judged_on}" if data.judged_on else ""
    if data.confusion is not None:
        page.heading("Confusion matrix")
        found = data.confusion
        page.text(f"The saved model{on}: {found.correct:,} of {found.total:,} rows are right.")
        page.plot(confusion_figure(found))
    if data.residuals is not None:
        page.heading("Residuals")
        page.text(
            f"The saved model{on}: half of {data.residuals.n:,} rows are off by "
            f"{_number(data.residuals.median_error)} or less; true values lie on average "
            f"{_number(abs(data.residuals.bias))} {'above' if data.residuals.bias >= 0 else 'below'} "
            "the predicted ones."
        )
        if len(data.residuals.true) < data.residuals.n:
            page.text(f"The plot shows {len(data.residuals.true):,} of them.", "quiet")
        page.plot(residuals_figure(data.residuals))


def _history(page: Page, data: ReportData) -> None:
    if data.history is not None and data.history.numbers:
        page.heading("History")
        page.plot(history_figure(data.history, metric=data.metric))


def _importances(page: Page, data: ReportData) -> None:
    if data.importances:
        page.heading("Importance of the columns")
        page.text("How much the models in the ensemble rely on each column, by their own measure.", "quiet")
        page.plot(importance_figure(data.importances))


def _table_summary(page: Page, data: ReportData) -> None:
    page.heading("Data")
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in data.columns.items() if count)
    page.text(
        f"{data.rows:,} rows, {sum(data.columns.values()):,} columns" + (f": {kinds}." if kinds else ".")
    )
    if data.notes:
        page.table(
            ["level", "column", "finding"], [[note.level, note.where, note.message] for note in data.notes]
        )
    else:
        page.text("The checks found nothing to mention.", "quiet")


def _failures(page: Page, data: ReportData) -> None:
    if not data.failures:
        return
    page.heading("Trials that failed")
    shown = data.failures[:_MOST_FAILURES]
    page.table(["trial", "reason"], [[note.where, note.message] for note in shown])
    if len(data.failures) > len(shown):
        page.text(f"And {len(data.failures) - len(shown):,} more.", "quiet")


def _for_the_record(page: Page, heading: str, values: Mapping[str, str]) -> None:
    if values:
        page.heading(heading)
        page.table(["name", "value"], list(values.items()))


def _number(value: float | None, digits: int = 5) -> str:
    return _NONE if value is None else f"{value:.{digits}g}"


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return _NONE
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"

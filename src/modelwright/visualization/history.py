"""Scores over time: each trial, the best so far, and the ensembles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelwright.analysis import ScoreHistory
from modelwright.visualization._figure import COLOURS, GREY, ORANGE, graph_objects, new_figure, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["history_figure"]


def history_figure(history: ScoreHistory, *, metric: str) -> Figure:
    """Draw the score of each trial over time, with lines for the best so far and the ensemble.

    Parameters
    ----------
    history : ScoreHistory
        From `modelwright.analysis.score_history`.
    metric : str
        Name of the score, for the axis.

    Examples
    --------
    >>> history = ScoreHistory((0, 1), ("dt", "rf"), (2.0, 3.0), (0.7, 0.6), (0.7, 0.7), (4.0,), (0.8,))
    >>> [trace.name for trace in history_figure(history, metric="accuracy").data]
    ['dt', 'rf', 'best so far', 'ensemble']
    """
    traces = [
        _points(history, group, COLOURS[2:][place % len(COLOURS[2:])])
        for place, group in enumerate(dict.fromkeys(history.groups))
    ]
    if history.numbers:
        traces.append(_steps("best so far", history.elapsed_s, history.best, GREY))
    if history.ensemble_scores:
        traces.append(_steps("ensemble", history.ensemble_elapsed_s, history.ensemble_scores, ORANGE))
    return new_figure(
        traces,
        xaxis={"title": "seconds since the first trial began", "rangemode": "tozero"},
        yaxis={"title": plain(metric)},
    )


def _points(history: ScoreHistory, group: str, colour: str) -> Any:
    chosen = [place for place, other in enumerate(history.groups) if other == group]
    return graph_objects().Scatter(
        name=plain(group) if group else "trials",
        x=[history.elapsed_s[place] for place in chosen],
        y=[history.scores[place] for place in chosen],
        customdata=[history.numbers[place] for place in chosen],
        mode="markers",
        marker={"color": colour, "size": 7, "opacity": 0.7},
        hovertemplate="trial %{customdata}: %{y:.5g} after %{x:.0f} s",
    )


def _steps(name: str, x: tuple[float, ...], y: tuple[float, ...], colour: str) -> Any:
    return graph_objects().Scatter(
        name=name,
        x=x,
        y=y,
        mode="lines+markers" if len(x) == 1 else "lines",
        line={"color": colour, "width": 2, "shape": "hv"},
        hovertemplate="%{y:.5g} after %{x:.0f} s",
    )

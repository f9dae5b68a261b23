"""Scores over time: each trial, the best so far, and the ensembles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelwright.analysis import ScoreHistory
from modelwright.visualization._figure import COLOURS, GREY, ORANGE, graph_objects, new_figure, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["history_figure"]

_FAR = 5.0
_FEW = 8  # of fewer scores none is called unusual


def history_figure(history: ScoreHistory, *, metric: str) -> Figure:
    """Draw the score of each trial over time, with lines for the best so far and the ensemble.

    The axis shows the range where most scores lie. A line below tells how many lie far off; a double click
    shows these too.

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
    shown = _usual_range([*history.scores, *history.ensemble_scores])
    outside = sum(not shown[0] <= score <= shown[1] for score in history.scores) if shown else 0
    below = f"<br>{outside:,} more far off: double-click to see all" if outside else ""
    return new_figure(
        traces,
        xaxis={
            "title": f"seconds since the first trial began{below}",
            "rangemode": "tozero",
            "automargin": True,
        },
        yaxis={"title": plain(metric), "range": shown},
    )


def _usual_range(scores: Sequence[float]) -> tuple[float, float] | None:
    """Return the range of the scores that do not lie far off; None where all lie together.

    Far off is what lies beyond the middle half by five times its width.
    """
    ranked = sorted(score for score in scores if math.isfinite(score))
    if len(ranked) < _FEW:
        return None
    low, high = ranked[len(ranked) // 4], ranked[-1 - len(ranked) // 4]
    width = high - low
    near = [score for score in ranked if low - _FAR * width <= score <= high + _FAR * width]
    if width <= 0 or len(near) == len(ranked):
        return None
    margin = 0.05 * (near[-1] - near[0])
    return near[0] - margin, near[-1] + margin


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

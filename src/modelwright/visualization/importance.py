"""How much a model relies on each column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelwright.visualization._figure import BLUE, graph_objects, new_figure, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["importance_figure"]


def importance_figure(importances: Sequence[tuple[str, float]], *, most: int = 20) -> Figure:
    """Draw the largest importances as bars, the largest on top.

    Parameters
    ----------
    importances : sequence of (str, float)
        Column and importance.
    most : int, default=20
        How many to draw.

    Examples
    --------
    >>> figure = importance_figure([("age", 0.2), ("rooms", 0.8)])
    >>> figure.layout.yaxis.ticktext, figure.data[0].x
    (('rooms', 'age'), (0.8, 0.2))
    """
    shown = sorted(importances, key=lambda pair: -pair[1])[:most]
    places = list(range(len(shown)))  # names are only the text of the ticks: two that look alike stay apart
    bars = graph_objects().Bar(
        x=[value for _, value in shown],
        y=places,
        orientation="h",
        marker={"color": BLUE},
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    return new_figure(
        [bars],
        height=120 + 24 * len(shown),
        xaxis={"title": "share of importance", "rangemode": "tozero"},
        yaxis={
            "autorange": "reversed",
            "automargin": True,
            "tickvals": places,
            "ticktext": [plain(name) for name, _ in shown],
        },
    )

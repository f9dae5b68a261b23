"""The confusion matrix as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright.analysis import Confusion
from modelwright.visualization._figure import BLUE, graph_objects, new_figure, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["confusion_figure"]

_MOST_WITH_NUMBERS = 15


def confusion_figure(confusion: Confusion) -> Figure:
    """Draw true classes as rows and predicted ones as columns, coloured by the share of the row.

    Examples
    --------
    >>> figure = confusion_figure(Confusion(("no", "yes"), ((8, 2), (1, 9))))
    >>> [list(row) for row in figure.data[0].text]
    [[8, 2], [1, 9]]
    """
    k = len(confusion.classes)
    places = list(range(k))  # labels are only the text of the ticks: two that look alike stay apart
    ticks = {"tickvals": places, "ticktext": [plain(label) for label in confusion.classes]}
    heat = graph_objects().Heatmap(
        x=places,
        y=places,
        z=confusion.shares,
        text=confusion.counts,  # plotly draws no customdata into cells
        zmin=0,
        zmax=1,
        colorscale=[[0, "#FFFFFF"], [1, BLUE]],
        colorbar={"title": "share of row", "tickformat": ".0%"},
        xgap=1,
        ygap=1,
        texttemplate="%{text}" if k <= _MOST_WITH_NUMBERS else None,
        hovertemplate="true %{y}, predicted %{x}: %{text} (%{z:.1%} of the row)<extra></extra>",
    )
    return new_figure(
        [heat],
        height=min(300 + 30 * k, 900),
        xaxis={"title": "predicted", "constrain": "domain", **ticks},
        yaxis={"title": "true", "autorange": "reversed", "automargin": True, **ticks},
    )

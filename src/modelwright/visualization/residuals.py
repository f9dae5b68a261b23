"""Differences between true and predicted values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright.analysis import Residuals
from modelwright.visualization._figure import BLUE, GREY, graph_objects, new_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["residuals_figure"]


def residuals_figure(residuals: Residuals) -> Figure:
    """Draw the difference (true minus predicted) over the prediction.

    Points around the line at 0 without a shape are what a good model leaves.

    Examples
    --------
    >>> figure = residuals_figure(Residuals((1.0, 4.0), (2.0, 3.0), 2, 0.0, 1.0, 1.0))
    >>> figure.data[0].x, figure.data[0].y
    ((2.0, 3.0), (-1.0, 1.0))
    """
    points = graph_objects().Scatter(
        x=residuals.predicted,
        y=residuals.differences,
        customdata=residuals.true,
        mode="markers",
        marker={"color": BLUE, "opacity": 0.5, "size": 6},
        hovertemplate="predicted %{x:.5g}, true %{customdata:.5g}: off by %{y:.5g}<extra></extra>",
    )
    figure = new_figure(
        [points],
        xaxis={"title": "predicted"},
        yaxis={"title": "true minus predicted"},
        showlegend=False,
    )
    figure.add_hline(y=0, line={"color": GREY, "dash": "dash", "width": 1}, opacity=1)  # the template has 0
    return figure

"""What all plots share: one look, and text that stays text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from modelwright._base.optional import require

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["BLUE", "COLOURS", "GREY", "ORANGE", "graph_objects", "new_figure", "plain"]

# After Okabe and Ito: told apart also by people who see fewer colours.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8A8F98"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#B8A600", GREY)

_LONGEST = 40


def graph_objects() -> Any:
    """Return plotly's `graph_objects`, or say how to get it."""
    return require("plotly.graph_objects", extra="plot", feature="a plot")


def new_figure(data: list[Any], *, height: int = 420, **layout: Any) -> Figure:
    """Return a figure in the common look; `layout` adds to it or overrides it."""
    common = {
        "template": "simple_white",
        "height": height,
        "margin": {"l": 60, "r": 20, "t": 30, "b": 50},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "hoverlabel": {"align": "left"},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02},
    }
    figure: Figure = graph_objects().Figure(data=data, layout={**common, **layout})
    return figure


def plain(text: object, *, longest: int = _LONGEST) -> str:
    """Return `text` so that plotly shows it as it stands: plotly reads labels as a kind of HTML.

    Examples
    --------
    >>> plain("<b>rooms</b> & size")
    '&lt;b&gt;rooms&lt;/b&gt; &amp; size'
    >>> plain("x" * 50, longest=5)
    'xxxx…'
    """
    line = " ".join(str(text).split())
    return escape(line if len(line) <= longest else line[: longest - 1] + "…", quote=False)

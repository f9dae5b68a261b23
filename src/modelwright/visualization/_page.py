"""One HTML file that needs nothing else: no network, no folder beside it, no script but ours.

The page carries a content security policy. Scripts run only with the nonce of this one page, which is
drawn when it is written, so nothing that a name, a label or an error message contains could run even if
it were not escaped; and no request of any kind leaves the page.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import TYPE_CHECKING

from modelwright._base.optional import require

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Page"]

_SKELETON = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'nonce-$nonce'; \
style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>$title</title>
<style>
body { margin: 0 auto; max-width: 62rem; padding: 1rem 1.25rem 4rem;
  font: 15px/1.5 system-ui, sans-serif; color: #1d2127; background: #fff; }
h1 { font-size: 1.6rem; margin: 1rem 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid #d8dce2; padding-bottom: .25rem; }
p { margin: .5rem 0; } .quiet { color: #5c6470; }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; padding: 0; list-style: none; }
.figures li { border: 1px solid #d8dce2; border-radius: .4rem; padding: .5rem .9rem; }
.figures strong { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; max-height: 34rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { position: sticky; top: 0; background: #fff; font-weight: 600; white-space: nowrap; }
tr + tr td { border-top: 1px solid #eceef1; } .number { text-align: right; }
.number, .name { white-space: nowrap; } td:last-child { min-width: 22rem; }
.warning { color: #8a5a00; } .error { color: #a02020; }
@media print { .scroll { max-height: none; overflow: visible; } }
</style>
</head>
<body>
$body
<noscript><p class="warning">The plots need JavaScript, which is switched off here.</p></noscript>
$scripts
</body>
</html>
""")

_DRAW = """\
for (const source of document.querySelectorAll("script[data-plot]")) {
  const figure = JSON.parse(source.textContent);
  Plotly.newPlot(source.dataset.plot, figure.data, figure.layout, {
    responsive: true, displaylogo: false, plotlyServerURL: "", modeBarButtonsToRemove: ["sendChartToCloud"],
  });
}
"""


class Page:
    """Gathers the parts of a page; all text that is given is escaped.

    Examples
    --------
    >>> page = Page("Report <1>")
    >>> page.heading("Rooms & sizes")
    >>> "<h2>Rooms &amp; sizes</h2>" in page.render()
    True
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._body: list[str] = [f"<h1>{escape(title)}</h1>"]
        self._plots: list[str] = []

    def heading(self, text: str) -> None:
        """Add the heading of a section."""
        self._body.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str, style: str = "") -> None:
        """Add a paragraph; `style` is one of our own: "", "quiet", "warning" or "error"."""
        self._body.append(f'<p class="{style}">{escape(text)}</p>' if style else f"<p>{escape(text)}</p>")

    def figures(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add a row of large figures, each with what it is."""
        items = "".join(f"<li><strong>{escape(value)}</strong>{escape(label)}</li>" for label, value in pairs)
        self._body.append(f'<ul class="figures">{items}</ul>')

    def table(
        self,
        head: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        numbers: Iterable[int] = (),
        names: Iterable[int] = (),
    ) -> None:
        """Add a table; columns at places in `numbers` are set as numbers, those in `names` are not broken."""
        chosen = dict.fromkeys(numbers, ' class="number"') | dict.fromkeys(names, ' class="name"')
        styles = [chosen.get(place, "") for place in range(len(head))]
        top = "".join(f"<th{style}>{escape(cell)}</th>" for style, cell in zip(styles, head, strict=True))
        lines = (
            "<tr>"
            + "".join(f"<td{s}>{escape(cell)}</td>" for s, cell in zip(styles, row, strict=True))
            + "</tr>"
            for row in rows
        )
        content = f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody>"
        self._body.append(f'<div class="scroll"><table>{content}</table></div>')

    def plot(self, figure: Figure) -> None:
        """Add a plot."""
        name = f"plot-{len(self._plots)}"
        self._body.append(f'<div id="{name}"></div>')
        # In JSON "<" stands only inside texts, and written so no text can end the script element.
        data = str(figure.to_json()).replace("<", "\\u003c")
        self._plots.append(f'<script type="application/json" data-plot="{name}">{data}</script>')

    def render(self) -> str:
        """Return the whole page."""
        nonce = secrets.token_urlsafe(16)
        scripts = list(self._plots)
        if self._plots:
            library = require("plotly.offline", extra="plot", feature="a report").get_plotlyjs()
            scripts += [f'<script nonce="{nonce}">{code}</script>' for code in (library, _DRAW)]
        return _SKELETON.substitute(
            nonce=nonce,
            title=escape(self._title),
            body="\n".join(self._body),
            scripts="\n".join(scripts),
        )

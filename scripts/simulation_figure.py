"""Draw what benchmarks/simulation.py --table wrote.

    python scripts/simulation_figure.py docs/assets/simulation.csv docs/assets/simulation.svg

One row of plots for each mean duration of a trial: throughput, idle share and the ledger's load by the
number of workers, a line for each storage. Needs matplotlib.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")  # after Okabe and Ito
PANELS = (
    ("trials_per_s", "trials done per second", 1.0),
    ("idle", "slots idle, %", 100.0),
    ("ledger", "ledger at work, %", 100.0),
)


def draw(lines: list[dict[str, str]], target: Path) -> None:
    """Draw all panels into an SVG file, whose bytes depend on the lines alone."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "simulation", "font.size": 9, "svg.fonttype": "none"})
    import matplotlib.pyplot as plt

    means = sorted({float(line["mean_s"]) for line in lines})
    figure, rows = plt.subplots(len(means), 3, figsize=(10, 2.9 * len(means)), squeeze=False)
    for mean_s, row in zip(means, rows, strict=True):
        chosen = [line for line in lines if float(line["mean_s"]) == mean_s]
        for axes, (name, label, factor) in zip(row, PANELS, strict=True):
            panel(axes, chosen, name, factor)
            axes.set_title(f"{label}; a trial takes {mean_s:g} s", fontsize=9)
    rows[0][0].legend(frameon=False, fontsize=8)
    for axes in rows[-1]:
        axes.set_xlabel("workers")
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


def panel(axes: Any, lines: list[dict[str, str]], name: str, factor: float) -> None:
    """Draw one figure of all storages into one panel."""
    for storage, colour in zip(dict.fromkeys(line["storage"] for line in lines), COLOURS, strict=False):
        own = [line for line in lines if line["storage"] == storage]
        workers = [int(line["workers"]) for line in own]
        axes.plot(
            workers, [factor * float(line[name]) for line in own], "o-", ms=3, color=colour, label=storage
        )
    axes.set_xscale("log")
    if name == "trials_per_s":
        axes.set_yscale("log")
    else:
        axes.set_ylim(-3, 103)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Read the table and draw it."""
    if len(sys.argv) == 1:  # as one of all benchmarks
        print("nothing is drawn: give it the table of benchmarks/simulation.py and the name of the figure")
        return
    source, target = map(Path, sys.argv[1:])
    with source.open(newline="", encoding="utf-8") as file:
        draw(list(csv.DictReader(file)), target)


if __name__ == "__main__":
    main()

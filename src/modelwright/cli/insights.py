"""What a study teaches about its space: which parameters matter, and which ranges end too early."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

import typer

from modelwright.cli.console import clean, count, print_table
from modelwright.errors import InputError

if TYPE_CHECKING:
    from modelwright.analysis import EdgeWarning, Importances
    from modelwright.study import Study

__all__ = ["insights_form", "print_insights"]


def print_insights(study: Study) -> None:
    """Print importances, ranges to widen and how long the study has stood still."""
    from modelwright.analysis import convergence, edge_warnings

    found, problem = _importances(study)
    if found:
        _print_shares(found)
    else:
        typer.echo(clean(f"importances: {problem}"))
    _print_edges(study, edge_warnings(study))
    stalled = convergence(study).stalled_trials
    if stalled:
        typer.echo(f"no gain worth its name in the last {count(stalled, 'complete trial')}")


def insights_form(study: Study) -> dict[str, Any]:
    """Return the same as JSON."""
    from modelwright.analysis import convergence, edge_warnings

    found, _ = _importances(study)
    return {
        "importances": [
            {
                "objective": one.target,
                "trials": one.trials,
                "r2": one.r2,
                "together": one.together,
                "shares": dict(one.shares),
            }
            for one in found
        ],
        "edges": [
            {
                "name": warning.name,
                "end": warning.end,
                "bound": warning.bound,
                "count": warning.count,
                "best": warning.best,
                "proposal": warning.proposal,
            }
            for warning in edge_warnings(study)
        ],
        "stalled_trials": convergence(study).stalled_trials,
    }


def _importances(study: Study) -> tuple[list[Importances], str]:
    """Return the importances for each objective, or nothing and why."""
    from modelwright.analysis import importances

    try:
        return [importances(study, objective.name) for objective in study.objectives], ""
    except InputError as error:
        return [], error.message


def _print_shares(found: list[Importances]) -> None:
    names = [name for name, _ in found[0].shares]
    by_name = [dict(one.shares) for one in found]
    rows = [(name, *(_percent(shares[name]) for shares in by_name)) for name in names]
    rows.append(("(several together)", *(_percent(one.together) for one in found)))
    rows.append(("(explained of unseen trials)", *(_percent(max(one.r2, 0.0)) for one in found)))
    print_table(("parameter", *(f"share of {one.target}" for one in found)), rows)


def _print_edges(study: Study, warnings: list[EdgeWarning]) -> None:
    """Print the warnings, and the command that widens the ranges where these are the user's own."""
    for warning in warnings:
        typer.echo(clean(str(warning)))
    ranges = {w.name: w.proposal for w in warnings if w.proposal is not None}
    if ranges and study.spec.optimizer.name != "partitions":
        options = [quote(f"{name}={low!r}:{high!r}") for name, (low, high) in ranges.items()]
        line = " ".join(["modelwright studies space", quote(study.name), *(f"--range {o}" for o in options)])
        typer.echo(clean(f"to widen: {line}"))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

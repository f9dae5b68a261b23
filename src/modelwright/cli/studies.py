"""`modelwright studies`: what a storage holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelwright.cli.console import number, print_json, print_table, seconds

__all__ = ["app"]

app = typer.Typer(
    help="List, show, resume and delete the studies of a storage.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Storage = Annotated[
    str, typer.Option(envvar="MODELWRIGHT_STORAGE", help="Where the ledger is.", show_default=True)
]
_DEFAULT = "sqlite:///modelwright.db"
_Name = Annotated[str, typer.Argument(help="Name of the study.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command("list", epilog="Example: modelwright studies list --storage sqlite:///hub.db")
def list_(storage: _Storage = _DEFAULT, json: _Json = False) -> None:
    """List the studies: state, trials, best value."""
    from modelwright.storage import open_existing
    from modelwright.study import Study

    opened = open_existing(storage)
    rows: list[dict[str, Any]] = []
    for record in opened.studies():
        study = Study.load(record.spec.name, storage=opened)
        best = study.best_trials[:1]
        rows.append(
            {
                "name": record.spec.name,
                "state": record.state.value,
                "trials": record.issued,
                "budget": record.budget_trials,
                "directions": study.directions,
                "best": list(best[0].values) if best else None,
            }
        )
    if json:
        print_json(rows)
        return
    print_table(("name", "state", "trials", "budget", "best"), [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    budget = "-" if row["budget"] is None else str(row["budget"])
    best = ", ".join(number(value) for value in row["best"] or ()) or "-"
    return row["name"], row["state"], str(row["trials"]), budget, best


@app.command("show", epilog="Example: modelwright studies show data --storage sqlite:///hub.db")
def show(name: _Name, storage: _Storage = _DEFAULT, json: _Json = False) -> None:
    """Show one study: its settings, its states, its best trial and each trial."""
    from modelwright.storage import open_existing
    from modelwright.study import Study

    study = Study.load(name, storage=open_existing(storage))
    trials = study.trials
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial.state.value] = counts.get(trial.state.value, 0) + 1
    if json:
        print_json(_as_json(study, counts))
        return
    typer.echo(
        f"{study.name}: {study.state.value}, optimizer {study.spec.optimizer.name}, seed {study.spec.seed}"
    )
    typer.echo("trials: " + (", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "none"))
    for best in study.best_trials[:1]:
        typer.echo(
            f"best: trial {best.number}, {', '.join(number(v) for v in best.values)}: {dict(best.params)}"
        )
    print_table(
        ("number", "state", "value", "duration", "params", "failure"),
        [
            (
                str(trial.number),
                trial.state.value,
                ", ".join(number(value) for value in trial.values) or "-",
                seconds(trial.record.duration_s),
                str(dict(trial.params)),
                "" if trial.failure is None else f"{trial.failure.kind.value}: {trial.failure.message}",
            )
            for trial in trials
        ],
    )


def _as_json(study: Any, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "name": study.name,
        "state": study.state.value,
        "optimizer": study.spec.optimizer.name,
        "seed": study.spec.seed,
        "directions": study.directions,
        "counts": counts,
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.value,
                "values": list(trial.values),
                "params": dict(trial.record.params or {}),
                "duration_s": trial.record.duration_s,
                "failure": None if trial.failure is None else trial.failure.message,
            }
            for trial in study.trials
        ],
    }


@app.command(
    "resume", epilog="Example: modelwright studies resume data --objective module:function --trials 100"
)
def resume(
    name: _Name,
    objective: Annotated[
        str, typer.Option(help="module:function or path/to/file.py:function to evaluate.", show_default=False)
    ],
    storage: _Storage = _DEFAULT,
    trials: Annotated[str | None, typer.Option(help="Trials in all; the study's budget by default.")] = None,
    time: Annotated[str | None, typer.Option(help="Time for this run.")] = None,
    jobs: Annotated[int, typer.Option(help="Trials at a time.", min=1)] = 1,
) -> None:
    """Go on with a study. A run of `fit` is resumed by its own command instead."""
    from modelwright._base.registry import load_object
    from modelwright.cli.amounts import parse_count, parse_seconds
    from modelwright.errors import InputError
    from modelwright.storage import open_existing
    from modelwright.study import Study

    opened = open_existing(storage)
    record = opened.study(name)
    if record.spec.optimizer.name == "partitions":
        raise InputError(
            f"the study {name!r} belongs to a fit.", hint="Run the same `modelwright fit` again."
        )
    total = parse_count("--trials", trials) or record.budget_trials
    limit_s = parse_seconds("--time", time)
    if total is None and limit_s is None:
        raise InputError(f"the study {name!r} has no budget.", hint="Give --trials or --time.")
    study = Study.load(name, storage=opened)
    study.run(load_object(objective), trials=total, timeout=limit_s, parallel=jobs)
    typer.echo(f"{study.name}: {study.state.value}, {len(study.trials)} trials")


@app.command("delete", epilog="Example: modelwright studies delete data --yes")
def delete(
    name: _Name,
    storage: _Storage = _DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a study with its trials from the storage; files of trials stay."""
    from modelwright.storage import open_existing

    opened = open_existing(storage)
    record = opened.study(name)
    if not yes:
        typer.confirm(f"Delete the study {name!r} with {record.issued} trials?", abort=True)
    opened.delete_study(name)
    typer.echo(f"{name} deleted")

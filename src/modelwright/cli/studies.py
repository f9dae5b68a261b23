"""`modelwright studies`: what a storage holds; `steering` has the verbs that change a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelwright.cli import steering
from modelwright.cli.console import clean, count, number, print_json, print_table, seconds
from modelwright.cli.forms import answer_study, budget_form, failure_text, notes_on, study_form
from modelwright.cli.insights import insights_form, print_insights
from modelwright.cli.options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument
from modelwright.errors import InputError

if TYPE_CHECKING:
    from modelwright.storage.base import StudyRecord
    from modelwright.study import Study, TrialResult

__all__ = ["app"]

app = typer.Typer(
    help="List, show, steer and delete the studies of a storage.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list", epilog="Example: modelwright studies list --storage sqlite:///hub.db")
def list_(storage: StorageOption = DEFAULT_STORAGE, json: JsonOption = False) -> None:
    """List the studies: state, trials, best value."""
    from modelwright.storage import open_existing
    from modelwright.study import Study

    opened = open_existing(storage)
    rows = [_row(Study.load(record.spec.name, storage=opened)) for record in opened.studies()]
    if json:
        print_json(rows)
        return
    print_table(("name", "state", "trials", "budget", "best"), [_cells(row) for row in rows])


def _row(study: Study) -> dict[str, Any]:
    from modelwright.automl.leaderboard import NOT_RUN, state_name
    from modelwright.records import TrialState

    trials = study.trials
    best = _best(study, trials)
    record = study.record  # as it was read together with the trials
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    notes = notes_on(study.storage, record.id, running)
    not_run = [trial for trial in trials if state_name(trial.state, record.state) == NOT_RUN]
    return {
        "name": record.spec.name,
        "state": record.state.value,
        "attended": len(notes) < len(running) if running else None,
        "trials": record.issued - len(not_run),
        "budget": budget_form(record.budget),
        "directions": study.directions,
        "best": list(best.values) if best else None,
    }


def _best(study: Study, trials: Sequence[TrialResult]) -> TrialResult | None:
    """Return the first of the best of trials that were read together."""
    from modelwright.analysis.best import pareto_trials

    records = [trial.record for trial in trials]
    found = pareto_trials(records, study.objectives, study.spec.outcome_constraints or ())
    return study.result(found[0]) if found else None


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    trials = row["budget"]["trials"]
    budget = "-" if trials is None else str(trials)
    best = ", ".join(number(value) for value in row["best"] or ()) or "-"
    state = row["state"] + (" (by nobody)" if row["attended"] is False else "")
    return row["name"], state, str(row["trials"]), budget, best


@app.command(
    "show",
    epilog="Example: modelwright studies show data --storage sqlite:///hub.db\n\n"
    "modelwright studies show data --importances",
)
def show(
    name: StudyArgument,
    storage: StorageOption = DEFAULT_STORAGE,
    importances: Annotated[
        bool,
        typer.Option(
            "--importances", help="Also which parameters matter, and which ranges end too early (fANOVA)."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show one study: its settings, its states, its best trial and each trial."""
    from modelwright.automl.leaderboard import state_name
    from modelwright.storage import open_existing
    from modelwright.study import Study

    study = Study.load(name, storage=open_existing(storage))
    trials = study.trials
    record = study.record  # as it was read together with the trials
    notes = notes_on(study.storage, record.id, trials)
    states = [state_name(trial.state, record.state) for trial in trials]
    if json:
        form = _as_json(record, trials, dict(Counter(states)), notes)
        print_json({**form, **insights_form(study)} if importances else form)
        return
    states = [
        f"{state} ({notes[trial.number]})" if trial.number in notes else state
        for trial, state in zip(trials, states, strict=True)
    ]
    counts = Counter(states)
    answer_study(record, json=False)
    typer.echo(clean(f"optimizer {study.spec.optimizer.name}, seed {study.spec.seed}"))
    typer.echo("trials: " + (", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "none"))
    best = _best(study, trials)
    bounds = record.spec.outcome_constraints or ()
    if bounds:
        typer.echo(clean("has to meet: " + ", ".join(map(str, bounds))))
    if best is not None:
        values = ", ".join(number(v) for v in best.values)
        typer.echo(clean(f"best: trial {best.number}, {values}: {dict(best.params)}"))
    if importances:
        print_insights(study)
    print_table(
        ("number", "state", "value", "duration", "params", "failure"),
        [
            (
                str(trial.number),
                state,
                ", ".join(number(value) for value in trial.values) or "-",
                seconds(trial.record.duration_s),
                str(dict(trial.params)),
                failure_text(trial.failure) or ", ".join(_broken(record, trial)),
            )
            for trial, state in zip(trials, states, strict=True)
        ],
    )


def _broken(record: StudyRecord, trial: TrialResult) -> list[str]:
    """Return the outcome constraints that a complete trial breaks, each with how far it is off."""
    from modelwright.records import TrialState
    from modelwright.records.outcomes import violations_of

    bounds = record.spec.outcome_constraints or ()
    if trial.state is not TrialState.COMPLETE:
        return []
    off = violations_of(trial.record, record.spec.objectives, bounds)
    return [f"{bound} by {number(far)}" for bound, far in zip(bounds, off, strict=True) if not far <= 0]


def _as_json(
    record: StudyRecord, trials: Sequence[TrialResult], counts: dict[str, int], notes: dict[int, str]
) -> dict[str, Any]:
    return {
        **study_form(record),
        "optimizer": record.spec.optimizer.name,
        "seed": record.spec.seed,
        "directions": [objective.direction for objective in record.spec.objectives],
        "outcome_constraints": [str(bound) for bound in record.spec.outcome_constraints or ()],
        "counts": counts,
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.value,
                "note": notes.get(trial.number),
                "values": list(trial.values),
                "params": dict(trial.record.params or {}),
                "duration_s": trial.record.duration_s,
                "failure": None if trial.failure is None else trial.failure.message,
                "breaks": _broken(record, trial),
            }
            for trial in trials
        ],
    }


steering.add_commands(app)


@app.command(
    "resume",
    epilog="Example: modelwright studies resume data\n\n"
    "modelwright studies resume data --objective module:function --trials 100",
)
def resume(
    name: StudyArgument,
    objective: Annotated[
        str | None,
        typer.Option(
            help="module:function, path/to/file.py:function or the path of a script to evaluate here.",
            show_default=False,
        ),
    ] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    trials: Annotated[str | None, typer.Option(help="Trials in all; the study's budget by default.")] = None,
    time: Annotated[str | None, typer.Option(help="Time for this run.")] = None,
    jobs: Annotated[int, typer.Option(help="Trials at a time.", min=1)] = 1,
    json: JsonOption = False,
) -> None:
    """Let a paused or stopped study go on, and with --objective run it here.

    A run of `fit` is resumed by its own command instead.
    """
    from modelwright.cli.amounts import parse_count, parse_seconds
    from modelwright.study.objective import load_objective

    total, limit_s = parse_count("--trials", trials), parse_seconds("--time", time)
    study = steering.open_study(name, storage)
    if objective is None:
        if total is not None or limit_s is not None or jobs != 1:
            raise InputError("expected --objective with --trials, --time or --jobs: they are for a run here.")
        answer_study(study.resume(), json=json)
        return
    _check_run_here(study.record, total, limit_s)
    function = load_objective(objective)
    study.resume()
    study.run(function, trials=total, timeout=limit_s, parallel=jobs)
    if json:
        answer_study(study.record, json=True)
    else:
        typer.echo(clean(f"{study.name}: {study.state.value}, {count(len(study.trials), 'trial')}"))


def _check_run_here(record: StudyRecord, total: int | None, limit_s: float | None) -> None:
    if record.spec.optimizer.name == "partitions":
        raise InputError(
            f"the study {record.spec.name!r} belongs to a fit.", hint="Run the same `modelwright fit` again."
        )
    budget = record.budget
    limits = (total, limit_s, budget.trials, budget.time_s, budget.deadline_us, budget.cost)
    if all(limit is None for limit in limits):
        raise InputError(f"the study {record.spec.name!r} has no budget.", hint="Give --trials or --time.")


@app.command("delete", epilog="Example: modelwright studies delete data --yes")
def delete(
    name: StudyArgument,
    storage: StorageOption = DEFAULT_STORAGE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also while its trials run: who runs them ends them.")
    ] = False,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="Leave the files of its trials that are on this machine.")
    ] = False,
) -> None:
    """Delete a study with its trials and their files; the folder of a run of `fit` stays."""
    from modelwright.storage import open_existing
    from modelwright.study.folders import default_folder, remove_folder

    opened = open_existing(storage)
    record = opened.study(name)
    folder = default_folder(opened, record)
    has_files = not keep_files and folder is not None and folder.is_dir()
    if not yes:
        files = f" and their files in {str(folder)!r}" if has_files else ""
        typer.confirm(f"Delete the study {name!r} with {record.issued} trials{files}?", abort=True)
    opened.delete_study(name, force=force)
    if has_files:
        remove_folder(folder)
    typer.echo(clean(f"{name} deleted"))


@app.command("upgrade", epilog="Example: modelwright studies upgrade --storage postgresql://me@host/hub")
def upgrade(storage: StorageOption = DEFAULT_STORAGE, json: JsonOption = False) -> None:
    """Bring a ledger of an older version up to this one; one that is up to date stays as it is.

    A SQLite file is copied first. Of a database on a server make a copy yourself, and stop its workers.
    """
    from modelwright.storage.sql.schema import VERSION
    from modelwright.storage.url import upgrade as upgrade_ledger

    with closing(upgrade_ledger(storage)) as opened:
        before, backup = opened.upgraded_from or VERSION, opened.backup
    if json:
        print_json({"url": opened.url, "from": before, "to": VERSION, "backup": backup and str(backup)})
    elif before == VERSION:
        typer.echo(clean(f"{opened.url} is up to date: its schema is {VERSION}"))
    else:
        typer.echo(clean(f"{opened.url}: upgraded from schema {before} to {VERSION}"))
        if backup:
            typer.echo(clean(f"as it was before: {backup}"))

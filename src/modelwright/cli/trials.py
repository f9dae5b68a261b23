"""`modelwright trials`: single trials of a study, listed, shown, killed, tried again and added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from modelwright.cli.console import clean, number, print_json, print_table, seconds
from modelwright.cli.files import file_form, file_rows
from modelwright.cli.forms import answer_trial, failure_text, notes_on, trial_form
from modelwright.cli.options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument
from modelwright.cli.steering import open_study

__all__ = ["app"]

app = typer.Typer(
    help="List, show, kill, retry and enqueue the trials of a study.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Number = Annotated[int, typer.Argument(help="Number of the trial.", min=0, show_default=False)]


@app.command("list", epilog="Example: modelwright trials list data --state failed")
def list_(
    name: StudyArgument,
    state: Annotated[str | None, typer.Option(help="Only trials in this state.")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """List the trials of a study by number."""
    study = open_study(name, storage)
    trials = study.trials
    if state is not None:
        wanted = _state(state)
        trials = [trial for trial in trials if trial.state is wanted]
    notes = notes_on(study.storage, study.record.id, trials)
    if json:
        print_json([{**trial_form(trial), "note": notes.get(trial.number)} for trial in trials])
        return
    print_table(
        ("number", "state", "value", "attempts", "duration", "params", "failure"),
        [
            (
                str(trial.number),
                trial.state.value + (f" ({notes[trial.number]})" if trial.number in notes else ""),
                ", ".join(number(value) for value in trial.values) or "-",
                str(trial.record.attempts),
                seconds(trial.record.duration_s),
                str(dict(trial.params)),
                failure_text(trial.failure),
            )
            for trial in trials
        ],
    )


@app.command("show", epilog="Example: modelwright trials show data 7 --json")
def show(
    name: StudyArgument,
    trial: _Number,
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """Show one trial with its attempts and reports."""
    study = open_study(name, storage)
    found = study.trial(trial)
    attempts = study.storage.attempts(study.record.id, trial)
    reports = study.storage.reports(study.record.id, trial)
    files = study.artifacts(trial)
    if json:
        form = trial_form(found)
        if found.failure is not None:
            form["failure"]["traceback"] = found.failure.traceback
        form["tries"] = [
            {
                "fence": attempt.fence,
                "worker": attempt.worker,
                "outcome": attempt.outcome,
                "duration_s": attempt.duration_s,
                "cost": attempt.cost,
                "exit_code": attempt.exit_code,
                "log": attempt.log_location,
            }
            for attempt in attempts
        ]
        form["reports"] = [
            {"step": report.step, "fold": report.fold, "values": dict(report.values)} for report in reports
        ]
        form["metrics"] = dict(found.record.metrics)
        form["files"] = [file_form(item) for item in files]
        print_json(form)
        return
    answer_trial(found, json=False)
    for note in notes_on(study.storage, study.record.id, [found]).values():
        typer.echo(f"{note}: whoever works on the study next takes the trial over")
    if found.reason:
        typer.echo(clean(f"chosen: {found.reason}"))
    print_table(
        ("attempt", "outcome", "duration", "worker", "log"),
        [
            (str(a.fence), a.outcome, seconds(a.duration_s), a.worker[:12], a.log_location or "-")
            for a in attempts
        ],
    )
    if reports:
        rows = [(f"{r.step:g}", "-" if r.fold is None else str(r.fold), _values(r.values)) for r in reports]
        print_table(("step", "fold", "values"), rows)
    if files:
        print_table(("file", "size", "format", "sha256"), file_rows(files))
    for text in _warnings(found.record.metrics):
        typer.echo(clean(f"warning: {text}"))
    if found.failure is not None and found.failure.code:
        typer.echo(clean(f"code: {found.failure.code}"))
    if found.failure is not None and found.failure.traceback:
        typer.echo("\n".join(clean(line) for line in found.failure.traceback.splitlines()))


@app.command("kill", epilog="Example: modelwright trials kill data 7")
def kill(
    name: StudyArgument,
    trial: _Number,
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """End a trial as failed; one that runs ends within seconds, wherever it runs."""
    from modelwright.records import TrialState

    asked = open_study(name, storage).kill(trial)
    answer_trial(asked, json=json)
    if asked.state is TrialState.RUNNING and not json:
        typer.echo("asked to end: whoever runs it ends it within seconds")


@app.command("retry", epilog="Example: modelwright trials retry data 7")
def retry(
    name: StudyArgument,
    trial: _Number,
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """Try the configuration of a finished trial again, as a new trial; asked twice, it is one."""
    answer_trial(open_study(name, storage).retry(trial), json=json)


@app.command(
    "enqueue",
    epilog="Example: modelwright trials enqueue data lr=0.01 layers=3\n\n"
    "modelwright trials enqueue data --like 7 lr=0.02",
)
def enqueue(
    name: StudyArgument,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="The configuration.")
    ] = None,
    like: Annotated[
        int | None, typer.Option(help="Take the values that are not given from this trial.", min=0)
    ] = None,
    request_id: Annotated[
        str, typer.Option(help="A name for this request: asked again under it, nothing is added.")
    ] = "",
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """Add a configuration to be tried next."""
    from modelwright.cli.spaces import parse_assignments

    study = open_study(name, storage)
    given = parse_assignments(values or (), "NAME=VALUE")
    params = {key: _value(study.space, key, text) for key, text in given.items()}
    if like is not None:
        added = study.enqueue_like(like, request_id=request_id, **params)
    else:
        added = study.trial(study.enqueue(params, request_id=request_id))
    answer_trial(added, json=json)


def _value(space: Any, name: str, text: str) -> Any:
    """Return the first reading of a word that the parameter takes; what it takes none of is for the check."""
    from modelwright.cli.spaces import typed

    for value in (typed(text), text):
        if name in space and _takes(space[name], value):
            return value
    return typed(text)


def _takes(parameter: Any, value: Any) -> bool:
    try:
        parameter.normal(value)
    except ValueError:
        return False
    return True


def _state(text: str) -> Any:
    from modelwright.errors import InputError
    from modelwright.records import TrialState

    try:
        return TrialState(text.lower())
    except ValueError:
        known = ", ".join(state.value for state in TrialState)
        raise InputError(f"expected --state to be one of {known}, got {text!r}.") from None


def _warnings(metrics: Mapping[str, Any]) -> list[str]:
    found = metrics.get("warnings")
    return [str(text) for text in found] if isinstance(found, list) else []


def _values(values: Any) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())

"""What Optuna's values mean as a study of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelwright.integrations.optuna.distributions import differing, in_text, joined_parameter
from modelwright.integrations.optuna.names import parameter_names, study_name
from modelwright.integrations.optuna.notes import Notes
from modelwright.integrations.optuna.raw import METRIC_NAMES, RawStudy, RawTrial, is_understood
from modelwright.integrations.optuna.trials import TrialReader, config_of
from modelwright.records import Objective, StudySpec
from modelwright.space import Space
from modelwright.transfer import StudySnapshot
from modelwright.transfer.inferring import infer_spaces
from modelwright.transfer.snapshot import in_order

__all__ = ["to_snapshot"]

_MOST_NAMED = 10


def to_snapshot(raw: RawStudy, file: str) -> StudySnapshot:
    """Return the study that `raw` describes; `file` is named in its description.

    Raises
    ------
    InputError
        Something in it has no counterpart here; the message names the parameter.
    """
    notes = Notes()
    _note_what_is_left_out(raw, notes)
    names = parameter_names(name for trial in raw.trials for name in [*trial.params, *trial.fixed])
    spaces = _spaces(raw.trials, names, notes)
    objectives = _objectives(raw)
    reader = TrialReader(spaces, names, objectives, notes)
    trials = in_order(reader.read(trial) for trial in raw.trials)
    spec = StudySpec(
        name=study_name(raw.name),
        space=spaces[0],
        objectives=objectives,
        description=f"imported from the Optuna study {raw.name[:100]!r} in {file[:100]}",
    )
    forms = [space.to_json() for space in spaces]
    return StudySnapshot(spec, forms, trials, user_attrs=raw.user_attrs, notes=notes.texts())


def _objectives(raw: RawStudy) -> tuple[Objective, ...]:
    directions = ["maximize" if item == "MAXIMIZE" else "minimize" for item in raw.directions or [""]]
    names = ["value"] if len(directions) == 1 else [f"value_{i}" for i in range(len(directions))]
    given = [str(name) for name in raw.system.get(METRIC_NAMES) or ()]
    if len(set(given)) == len(directions) and all(given):
        names = given
    return tuple(Objective(*item) for item in zip(names, directions, strict=True))  # type: ignore[arg-type]


def _spaces(trials: Sequence[RawTrial], names: Mapping[str, str], notes: Notes) -> list[Space]:
    """Return the versions of the space: the second has what only some trials have, for no known reason."""
    given: dict[str, list[tuple[Mapping[str, Any], float]]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            given.setdefault(name, []).append((trial.distributions[name], value))
    for name, items in given.items():
        if names[name] != name:
            notes.on_study(f"the parameter {name!r:.60} is called {names[name]!r} here")
        if differing(items):
            notes.on_study(f"the range of {names[name]!r} changed between trials: the widest is kept")
        if in_text(items):
            notes.on_study(f"choices of {names[name]!r} that are no plain values are kept as JSON text")
    parameters = {names[name]: joined_parameter(name, items) for name, items in given.items()}
    # Trials that failed may have ended before their objective asked for everything.
    whole = [config_of(trial, names) for trial in trials if trial.state in ("COMPLETE", "PRUNED")]
    spaces = infer_spaces(parameters, whole)
    added = [repr(name) for name in spaces[-1].names if name not in spaces[0]]
    if added:
        notes.on_study(
            f"only some trials have {', '.join(added)}, and no choice explains which: "
            f"an objective adds such parameters while it runs"
        )
    return spaces


def _note_what_is_left_out(raw: RawStudy, notes: Notes) -> None:
    noted = [raw.system, *(trial.system for trial in raw.trials)]
    keys = {key: None for system in noted for key in system if not is_understood(key)}
    if keys:
        shown = ", ".join(list(keys)[:_MOST_NAMED]) + (", ..." if len(keys) > _MOST_NAMED else "")
        notes.on_study(f"left out is what Optuna and its samplers noted for themselves: {shown}")

"""Optuna's journals: JSON operations, one in each line, applied in their order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from modelwright.errors import InputError
from modelwright.integrations.optuna.distributions import are_compatible
from modelwright.integrations.optuna.raw import FINISHED, RawStudy, RawTrial

__all__ = ["read"]

_STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
_DIRECTIONS = ("NOT_SET", "MINIMIZE", "MAXIMIZE")


def read(path: Path) -> list[RawStudy]:
    """Return the studies of a journal.

    A last line that is not whole, as a process leaves it that is killed while it writes, is passed over.

    Raises
    ------
    InputError
        A line is no operation of Optuna's; the message names it.
    """
    lines = path.read_bytes().split(b"\n")
    journal = _Journal()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            journal.apply(json.loads(line))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            # What ends with a line end was written whole.
            if number == len(lines):
                break
            raise InputError(
                f"{str(path)!r} is no journal of Optuna: line {number} is {line[:60]!r} ({error!r:.80}).",
                hint="Remove that line if a process was killed while it wrote it."
                if number > 1
                else "Expected a SQLite file or a journal.",
                code="E_OPTUNA",
            ) from None
    if not journal.studies:
        raise InputError(
            f"{str(path)!r} is no file of Optuna with a study.",
            hint="Expected a SQLite file or a journal.",
            code="E_OPTUNA",
        )
    return [study for study in journal.studies.values() if study is not None]


class _Journal:
    """Studies and trials as the operations so far have made them.

    Keys are counted by the operations that create, also for what is deleted later.
    """

    def __init__(self) -> None:
        self.studies: dict[int, RawStudy | None] = {}
        self.trials: list[RawTrial] = []
        self._study_of: list[int] = []
        # Optuna writes a parameter down before it looks whether earlier trials had it of another kind.
        self._first: dict[tuple[int, str], Mapping[str, Any]] = {}
        self._apply: Mapping[int, Callable[[Mapping[str, Any]], None]] = {
            0: self._create_study,
            1: self._delete_study,
            2: self._set_study_user_attr,
            3: self._set_study_system_attr,
            4: self._create_trial,
            5: self._set_param,
            6: self._set_state,
            7: self._set_report,
            8: self._set_trial_user_attr,
            9: self._set_trial_system_attr,
            10: lambda log: None,  # of another program, and passed over by Optuna too
        }

    def apply(self, log: Mapping[str, Any]) -> None:
        """Apply one operation."""
        self._apply[log["op_code"]](log)

    def _create_study(self, log: Mapping[str, Any]) -> None:
        name = str(log["study_name"])
        if any(study is not None and study.name == name for study in self.studies.values()):
            return  # two processes created it at the same moment; the first won
        self.studies[len(self.studies)] = RawStudy(name, [_DIRECTIONS[item] for item in log["directions"]])

    def _delete_study(self, log: Mapping[str, Any]) -> None:
        if log["study_id"] in self.studies:
            self.studies[log["study_id"]] = None

    def _set_study_user_attr(self, log: Mapping[str, Any]) -> None:
        study = self.studies.get(log["study_id"])
        if study is not None:
            study.user_attrs.update(log["user_attr"])

    def _set_study_system_attr(self, log: Mapping[str, Any]) -> None:
        study = self.studies.get(log["study_id"])
        if study is not None:
            study.system.update(log["system_attr"])

    def _create_trial(self, log: Mapping[str, Any]) -> None:
        study = self.studies.get(log["study_id"])
        if study is None:
            return
        trial = RawTrial(len(study.trials), _STATES[log.get("state", 0)])
        trial.started_us = _moment(log.get("datetime_start"))
        trial.ended_us = _moment(log.get("datetime_complete"))
        trial.params = dict(log.get("params", {}))
        trial.distributions = {k: json.loads(v) for k, v in log.get("distributions", {}).items()}
        trial.user_attrs = dict(log.get("user_attrs", {}))
        trial.system = dict(log.get("system_attrs", {}))
        trial.reports = {int(k): float(v) for k, v in log.get("intermediate_values", {}).items()}
        values = log.get("values")
        if values is None and log.get("value") is not None:
            values = [log["value"]]
        trial.values = values
        for name, distribution in trial.distributions.items():
            self._first.setdefault((log["study_id"], name), distribution)
        study.trials.append(trial)
        self.trials.append(trial)
        self._study_of.append(log["study_id"])

    def _open(self, log: Mapping[str, Any]) -> RawTrial | None:
        """Return the trial that an operation changes; None if it is not there, or finished."""
        key = int(log["trial_id"])
        if not 0 <= key < len(self.trials) or self.trials[key].state in FINISHED:
            return None
        return self.trials[key]

    def _set_param(self, log: Mapping[str, Any]) -> None:
        trial = self._open(log)
        if trial is None:
            return
        name, distribution = str(log["param_name"]), json.loads(log["distribution"])
        key = self._study_of[int(log["trial_id"])], name
        if are_compatible(self._first.setdefault(key, distribution), distribution):
            trial.params[name] = float(log["param_value_internal"])
            trial.distributions[name] = distribution

    def _set_state(self, log: Mapping[str, Any]) -> None:
        trial = self._open(log)
        state = _STATES[log["state"]]
        if trial is None or state == trial.state == "RUNNING":  # another process was quicker
            return
        trial.state = state
        trial.started_us = _moment(log.get("datetime_start")) or trial.started_us
        trial.ended_us = _moment(log.get("datetime_complete")) or trial.ended_us
        trial.values = log["values"] if log.get("values") is not None else trial.values

    def _set_report(self, log: Mapping[str, Any]) -> None:
        trial = self._open(log)
        if trial is not None:
            trial.reports[int(log["step"])] = float(log["intermediate_value"])

    def _set_trial_user_attr(self, log: Mapping[str, Any]) -> None:
        trial = self._open(log)
        if trial is not None:
            trial.user_attrs.update(log["user_attr"])

    def _set_trial_system_attr(self, log: Mapping[str, Any]) -> None:
        trial = self._open(log)
        if trial is not None:
            trial.system.update(log["system_attr"])


def _moment(text: str | None) -> int | None:
    """Return a moment; journals of Optuna 3 and 4 have it in local time, without a zone."""
    return None if text is None else round(datetime.fromisoformat(text).astimezone().timestamp() * 1e6)

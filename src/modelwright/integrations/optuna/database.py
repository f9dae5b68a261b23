"""Optuna's SQLite files, by plain SQL on the tables that Optuna 3, 4 and 5 share."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelwright.errors import InputError
from modelwright.integrations.optuna.raw import RawStudy, RawTrial

__all__ = ["read"]

# Optuna's number for its tables as they are since version 3.
_SCHEMA = 12
_FIRST_WITH_UTC = 5  # until then moments were in local time
_SPECIAL = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


def read(path: Path) -> list[RawStudy]:
    """Return the studies of a SQLite file, which is opened for reading only.

    Raises
    ------
    InputError
        It has no tables of Optuna's, or older ones.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("BEGIN")  # one moment for all tables
            return _Reader(connection).studies()
    except sqlite3.Error as error:
        raise InputError(
            f"{str(path)!r} is no database of Optuna 3 or newer: {error}.",
            hint="Older ones are brought up to date by: optuna storage upgrade --storage sqlite:///FILE",
            code="E_OPTUNA",
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error!r:.200}.", code="E_OPTUNA") from None


class _Reader:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._moment = _moments_of(self._version())

    def _all(self, query: str) -> Iterator[tuple[Any, ...]]:
        yield from self._connection.execute(query)

    def _version(self) -> str:
        rows = list(self._all("SELECT schema_version, library_version FROM version_info"))
        if not rows or rows[0][0] != _SCHEMA:
            raise ValueError(f"expected tables of version {_SCHEMA}, got {rows[0][0] if rows else 'none'}")
        return str(rows[0][1])

    def studies(self) -> list[RawStudy]:
        studies: dict[int, RawStudy] = {}
        for key, name in self._all("SELECT study_id, study_name FROM studies ORDER BY study_id"):
            studies[key] = RawStudy(str(name), [])
        query = "SELECT study_id, direction FROM study_directions ORDER BY study_id, objective"
        for key, direction in self._all(query):
            studies[key].directions.append(str(direction))
        for key, name, value in self._all("SELECT study_id, key, value_json FROM study_user_attributes"):
            studies[key].user_attrs[str(name)] = json.loads(value)
        for key, name, value in self._all("SELECT study_id, key, value_json FROM study_system_attributes"):
            studies[key].system[str(name)] = json.loads(value)
        self._add_trials(studies)
        return list(studies.values())

    def _add_trials(self, studies: dict[int, RawStudy]) -> None:
        trials: dict[int, RawTrial] = {}
        query = (
            "SELECT trial_id, study_id, number, state, datetime_start, datetime_complete FROM trials "
            "ORDER BY study_id, number"
        )
        for key, study, number, state, started, ended in self._all(query):
            trial = RawTrial(int(number), str(state))
            trial.started_us, trial.ended_us = self._moment(started), self._moment(ended)
            trials[key] = trial
            studies[study].trials.append(trial)
        self._fill(trials)

    def _fill(self, trials: dict[int, RawTrial]) -> None:
        """Give the trials what belongs to them."""
        query = (
            "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params ORDER BY param_id"
        )
        for key, name, value, distribution in self._all(query):
            trials[key].params[str(name)] = float(value)
            trials[key].distributions[str(name)] = json.loads(distribution)
        query = "SELECT trial_id, value, value_type FROM trial_values ORDER BY trial_id, objective"
        for key, value, kind in self._all(query):
            trials[key].values = [*(trials[key].values or []), _number(value, kind)]
        query = (
            "SELECT trial_id, step, intermediate_value, intermediate_value_type "
            "FROM trial_intermediate_values ORDER BY trial_id, step"
        )
        for key, step, value, kind in self._all(query):
            trials[key].reports[int(step)] = _number(value, kind)
        for key, name, value in self._all("SELECT trial_id, key, value_json FROM trial_user_attributes"):
            trials[key].user_attrs[str(name)] = json.loads(value)
        for key, name, value in self._all("SELECT trial_id, key, value_json FROM trial_system_attributes"):
            trials[key].system[str(name)] = json.loads(value)


def _number(value: Any, kind: Any) -> float:
    return _SPECIAL[kind] if kind in _SPECIAL else float(value)


def _moments_of(version: str) -> Callable[[Any], int | None]:
    major = version.partition(".")[0]
    in_utc = major.isdecimal() and int(major) >= _FIRST_WITH_UTC

    def moment(text: Any) -> int | None:
        if text is None:
            return None
        naive = datetime.fromisoformat(str(text))
        aware = naive.replace(tzinfo=UTC) if in_utc else naive.astimezone()
        return round(aware.timestamp() * 1e6)

    return moment

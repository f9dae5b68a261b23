"""Optuna's trials as trials of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwright.errors import ConfigurationError, InputError
from modelwright.integrations.optuna.distributions import external, plain_choice
from modelwright.integrations.optuna.notes import Notes
from modelwright.integrations.optuna.raw import FINISHED, RawTrial
from modelwright.integrations.optuna.results import Result, result_of
from modelwright.records import Failure, FailureKind, Objective, Provenance, Report, Trial, TrialState
from modelwright.space import Space
from modelwright.storage.base import AdoptedTrial
from modelwright.transfer.inferring import version_of

__all__ = ["TrialReader", "config_of"]

_PROVENANCE = Provenance("optuna", reason="imported")
_DRAWS = 100


def config_of(trial: RawTrial, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that a trial had, under our names."""
    return {names[name]: external(trial.distributions[name], value) for name, value in trial.params.items()}


@dataclass(frozen=True, slots=True)
class TrialReader:
    """Makes trials of Optuna's.

    Attributes
    ----------
    spaces : list of Space
        The versions of the space: one, or two if some parameters were added for no reason that can be known.
    names : mapping of str to str
        Our names of parameters by Optuna's.
    objectives : tuple of Objective
        Those of the study.
    notes : Notes
        Takes what cannot be taken over.
    """

    spaces: list[Space]
    names: Mapping[str, str]
    objectives: tuple[Objective, ...]
    notes: Notes

    def read(self, raw: RawTrial) -> AdoptedTrial:
        """Return a trial as the ledger takes it in."""
        trial = self._finished(raw) if raw.state in FINISHED else self._unfinished(raw)
        name = self.objectives[0].name
        reports = [Report(step, {name: value}) for step, value in sorted(raw.reports.items())]
        return AdoptedTrial(trial, raw.number, reports if trial.state.finished else ())

    def _finished(self, raw: RawTrial) -> Trial:
        state, values, failure = self._result(raw)
        return self._trial(raw, state, self._params(raw), values, failure)

    def _params(self, raw: RawTrial) -> dict[str, Any]:
        whole = self.spaces[-1]
        config = config_of(raw, self.names)
        return whole.dump({name: whole[name].normal(value) for name, value in config.items()})

    def _trial(
        self,
        raw: RawTrial,
        state: TrialState,
        params: Mapping[str, Any] | None,
        values: tuple[float, ...] = (),
        failure: Failure | None = None,
    ) -> Trial:
        finished = state.finished
        return Trial(
            raw.number,
            state,
            params,
            values,
            failure,
            space_version=version_of(params, self.spaces),
            enqueued=bool(raw.fixed),
            provenance=_PROVENANCE,
            user_attrs=raw.user_attrs,
            metrics={"constraints": raw.constraints} if raw.constraints else {},
            duration_s=_seconds(raw) if finished else None,
            queued_us=raw.started_us,
            started_us=raw.started_us if finished else None,
            ended_us=raw.ended_us if finished else None,
        )

    def _result(self, raw: RawTrial) -> Result:
        state, values, failure = result_of(raw.state, raw.values, raw.reports, len(self.objectives))
        if failure is not None and failure.kind is FailureKind.NAN:
            shown = ", ".join(str(float(value)) for value in raw.values or ()) or "missing"
            self.notes.on_trial(raw.number, f"the value {shown} is not finite, which is a failure here")
        if state is TrialState.COMPLETE and any(value > 0 for value in raw.constraints.values()):
            self.notes.on_trial(raw.number, "constraints are violated, which only the metrics say here")
        return state, values, failure

    # trials that wait or run -------------------------------------------------------------------------

    def _unfinished(self, raw: RawTrial) -> Trial:
        """Return what becomes of a trial that waits or runs: it waits, if it can be run as it stands."""
        if raw.reports:
            self.notes.on_trial(raw.number, "not ended, and to be run anew, without the reports so far")
        params = self._params(raw)
        try:
            return self._trial(raw, TrialState.WAITING, self._checked(params))
        except (ConfigurationError, InputError):
            fixed = self._usable(raw)
        if fixed:
            return self._trial(raw, TrialState.WAITING, self._completed(raw.number, fixed))
        if raw.state == "WAITING":
            return self._trial(raw, TrialState.WAITING, None)  # the optimizer proposes
        self.notes.on_trial(raw.number, "running without a whole configuration, and so lost")
        lost = Failure(FailureKind.LOST, "lost: it was running when the file was read", "E_LOST")
        return self._trial(raw, TrialState.FAILED, params, (), lost)

    def _checked(self, config: Mapping[str, Any]) -> dict[str, Any]:
        base = self.spaces[0]
        return base.dump(base.check(config))

    def _usable(self, raw: RawTrial) -> dict[str, Any]:
        """Return those of the values that a user gave that the space can take."""
        base, usable = self.spaces[0], {}
        for given, value in raw.fixed.items():
            name = self.names.get(given, given)
            try:
                if name not in base:
                    raise ValueError("it is not in the space")
                usable[name] = base[name].normal(plain_choice(value))
            except ValueError:
                self.notes.on_trial(raw.number, f"the enqueued {given} = {value!r:.40} does not fit")
        return usable

    def _completed(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a configuration with these values, the others drawn; None if no draw goes with them."""
        base = self.spaces[0]
        rng = np.random.default_rng(number)  # the same each time that the file is read
        for _ in range(_DRAWS):
            drawn = {**base.sample(rng), **fixed}
            try:
                config = self._checked({name: drawn[name] for name in base.active(drawn)})
            except (KeyError, ConfigurationError):
                continue
            others = [name for name in config if name not in fixed]
            if others:
                self.notes.on_trial(number, f"{', '.join(others)} drawn at random, beside what was enqueued")
            return config
        self.notes.on_trial(number, "the enqueued values do not go together, and are left out")
        return None


def _seconds(raw: RawTrial) -> float | None:
    if raw.started_us is None or raw.ended_us is None:
        return None
    return (raw.ended_us - raw.started_us) / 1e6

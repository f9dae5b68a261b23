# ruff: noqa: D102  (the names of the tests say what holds)
"""Conformance of storages: what trials leave, and how it is read."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from modelwright.errors import (
    InputError,
    StudyStateError,
)
from modelwright.records import (
    Artifact,
    Component,
    Failure,
    FailureKind,
    Outcome,
    Proposal,
    Provenance,
    Report,
    TrialState,
)
from modelwright.storage.base import (
    Storage,
)
from modelwright.storage.plain import config_key
from modelwright.testing.storage_suite import AWKWARD, ManualClock, StorageSuite, complete, make_spec

__all__ = ["ResultTests"]


class ResultTests(StorageSuite):
    """What holds of configurations, reports and results."""

    def test_a_configuration_is_written_once(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        revision = storage.study("study").revision
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        assert storage.study("study").revision == revision
        with pytest.raises(StudyStateError, match="once"):
            storage.propose(claim, Proposal({"x": 0.6}), Provenance(), 0)

    def test_an_objective_adds_parameters(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        storage.extend(claim, {"y": 2}, 1)
        trial = storage.trial(study.id, 0)
        assert (trial.params, trial.space_version) == ({"x": 0.5, "y": 2}, 1)

    def test_events_tell_what_was_written(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        since = storage.study("study").revision
        claim = self.take(storage, study.id, "c1")
        proposed = {"x": 0.5, "k": "a"}
        storage.propose(claim, Proposal(proposed, fidelity=3.0), Provenance("tpe", "1", "why", 2, turn=7), 0)
        assert storage.trial(study.id, 0).provenance == Provenance("tpe", "1", "why", 2)
        storage.extend(claim, {"y": 2}, 0)
        storage.finish(claim, complete(math.inf, 0.25), "c1")
        number = storage.enqueue(study.id, {"x": 0.75, "k": "b"}, {})
        failed = self.take(storage, study.id, "c2")
        storage.finish(failed, Outcome(TrialState.FAILED, failure=Failure(FailureKind.NAN, "nan")), "c2")
        told = {event.kind: event.payload for event in storage.events(study.id, since) if event.number == 0}
        key = config_key(proposed, 3.0)[:16]
        assert told["propose"] == {"key": key, "turn": 7}
        wider = config_key({**proposed, "y": 2}, 3.0)[:16]
        assert told["extend"] == {"names": ["y"], "space_version": 0, "key": wider}
        assert told["finish"] == {"state": "complete", "values": [math.inf, 0.25]}
        told = {e.kind: e.payload for e in storage.events(study.id, since) if e.number == number}
        assert told["enqueue"]["key"] == config_key({"x": 0.75, "k": "b"}, None)[:16]
        assert told["finish"] == {"state": "failed", "values": [], "failure": "nan"}

    def test_the_newest_fence_reports_last(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        old = self.take(storage, study.id, "c1")
        first = [Report(1, {"value": 1.0}), Report(2, {"value": 2.0}), Report(2, {"value": 2.5})]
        assert storage.report(old, first)
        assert storage.report(old, [])
        clock.advance(2 * self.lease_s)
        new = self.take(storage, study.id, "c2")
        assert not storage.report(old, [Report(3, {"value": 3.0})])
        since = storage.study("study").revision
        assert storage.report(new, [Report(1, {"value": 1.5}, fold=0), Report(1, {"value": 9.0})])
        assert storage.reports(study.id, 0) == [
            Report(1, {"value": 9.0}),
            Report(1, {"value": 1.5}, 0),
            Report(2, {"value": 2.5}),
        ]
        changes = storage.changes(study.id, since)
        assert changes.reports == [(0, Report(1, {"value": 1.5}, 0)), (0, Report(1, {"value": 9.0}))]
        assert changes.trials == []
        assert storage.study("study").revision == since + 1
        with pytest.raises(KeyError):
            storage.reports(study.id, 5)

    def test_numbers_beyond_json_are_kept(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        storage.report(claim, [Report(0.5, {"value": -math.inf, "other": 1})])
        storage.finish(claim, complete(math.inf, -math.inf, math.nan, 1e308), "c1")
        values = storage.trial(study.id, 0).values
        assert values[:2] == (math.inf, -math.inf)
        assert math.isnan(values[2])
        assert values[3] == 1e308
        assert storage.reports(study.id, 0) == [Report(0.5, {"value": -math.inf, "other": 1})]
        with pytest.raises(InputError, match="step"):
            storage.report(self.take(storage, study.id, "c2"), [Report(math.nan, {})])

    def test_a_failure_keeps_its_words(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        failure = Failure(FailureKind.MEMORY, "4.1 GB of 4 GB: ü", "E_MEMORY", "Traceback\n" + "x" * 100_000)
        storage.finish(claim, Outcome(TrialState.FAILED, failure=failure), "c1")
        assert storage.trial(study.id, 0).failure == failure
        claim = self.take(storage, study.id, "c2")
        odd = Failure(FailureKind.ERROR, "nul \0 and half \ud800")
        storage.finish(claim, Outcome(TrialState.FAILED, failure=odd), "c2")
        stored = storage.trial(study.id, 1).failure
        assert stored is not None
        assert stored.message.startswith("nul ")

    def test_attributes_are_any_json(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        storage.set_trial_attrs(study.id, 0, {"before": 1, "note": "old"})
        storage.finish(claim, complete(user_attrs={**AWKWARD, "note": "new"}, metrics=AWKWARD), "c1")
        storage.set_trial_attrs(study.id, 0, {"after": [1, (2, 3)]})
        trial = storage.trial(study.id, 0)
        assert trial.user_attrs == {"before": 1, "note": "new", "after": [1, [2, 3]], **AWKWARD}
        assert trial.metrics == AWKWARD
        with pytest.raises(KeyError):
            storage.set_trial_attrs(study.id, 3, {})

    @pytest.mark.parametrize("wrong", [{"a": object()}, {1: "a"}, {"a": {2}}, {"a": b"bytes"}])
    def test_what_is_not_json_is_refused(self, storage: Storage, wrong: Any) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        before = storage.study("study")
        for call in (
            lambda: storage.set_user_attrs(study.id, wrong),
            lambda: storage.set_trial_attrs(study.id, 0, wrong),
            lambda: storage.enqueue(study.id, wrong, {}),
            lambda: storage.propose(claim, Proposal(wrong), Provenance(), 0),
            lambda: storage.finish(claim, complete(user_attrs=wrong), "c1"),
            lambda: storage.finish(claim, complete(metrics=wrong), "c1"),
        ):
            with pytest.raises(InputError):
                call()
        assert storage.study("study") == before
        assert storage.trial(study.id, 0).state is TrialState.RUNNING

    def test_records_are_copies(self, storage: Storage) -> None:
        study = storage.create_study(make_spec(optimizer=Component("tpe", options := {"a": [1]})))
        options["a"].append(2)
        claim = self.take(storage, study.id, "c1")
        params = {"x": [1]}
        storage.propose(claim, Proposal(params), Provenance(), 0)
        params["x"].append(2)
        attrs = {"list": [1]}
        storage.finish(claim, complete(user_attrs=attrs), "c1")
        attrs["list"].append(2)
        for _ in range(2):
            for trial in (storage.trial(study.id, 0), storage.changes(study.id, 0).trials[0]):
                assert (trial.params, trial.user_attrs) == ({"x": [1]}, {"list": [1]})
                trial.params["x"].append(3)  # type: ignore[index]
                trial.user_attrs["list"].append(3)
        record = storage.study("study")
        record.user_attrs["mine"] = 1  # type: ignore[index]
        record.space["mine"] = 1  # type: ignore[index]
        assert storage.study("study").user_attrs == {}
        assert "mine" not in storage.study("study").space
        assert storage.study("study").spec.optimizer.options == {"a": [1]}

    def test_artifacts_count_with_an_accepted_result_only(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        model, oof = (Artifact(name, f"0-2/{name}", "ab" * 32, 2**40, "npy") for name in ("model", "oof"))
        old = self.take(storage, study.id, "c1")
        clock.advance(2 * self.lease_s)
        new = self.take(storage, study.id, "c2")
        storage.finish(old, complete(artifacts=(replace(oof, size=1),)), "c1")
        assert storage.artifacts(study.id) == []
        storage.finish(new, complete(artifacts=(oof, model)), "c2")
        assert storage.artifacts(study.id) == [(0, model), (0, oof)]
        assert storage.artifacts(study.id, 0) == [(0, model), (0, oof)]
        assert storage.artifacts(study.id, 1) == []

    def test_trials_are_found_by_number_and_state(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        self.run_one(storage, study.id, "a")
        self.take(storage, study.id, "b")
        storage.enqueue(study.id, {"x": 0.1}, {})
        assert [trial.number for trial in storage.trials(study.id)] == [0, 1, 2]
        wanted = [TrialState.COMPLETE, TrialState.WAITING]
        assert [trial.number for trial in storage.trials(study.id, wanted)] == [0, 2]
        assert storage.trials(study.id, []) == []
        assert storage.trials(study.id, [TrialState.PRUNED]) == []
        with pytest.raises(KeyError):
            storage.trial(study.id, 3)

    def test_changes_are_what_moved(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        for name in "abc":
            self.run_one(storage, study.id, name)
        full = storage.changes(study.id, 0)
        assert [trial.number for trial in full.trials] == [0, 1, 2]
        assert full.revision == full.study.revision == storage.study("study").revision
        assert full.trials == storage.trials(study.id)
        nothing = storage.changes(study.id, full.revision)
        assert (nothing.trials, nothing.reports, nothing.revision) == ([], [], full.revision)
        storage.set_trial_attrs(study.id, 1, {"a": 1})
        storage.set_trial_attrs(study.id, 0, {"a": 1})
        storage.set_trial_attrs(study.id, 1, {"b": 1})
        moved = storage.changes(study.id, full.revision)
        assert [trial.number for trial in moved.trials] == [0, 1]
        assert moved.revision == full.revision + 3

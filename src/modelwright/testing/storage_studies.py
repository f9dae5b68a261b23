# ruff: noqa: D102  (the names of the tests say what holds)
"""Conformance of storages: studies, their states, spaces and attributes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelwright.errors import (
    StudyExistsError,
    StudyNotFoundError,
)
from modelwright.records import (
    Budget,
    Component,
    Objective,
    Proposal,
    Provenance,
    Report,
    SearchSettings,
    StudyState,
)
from modelwright.space import Float
from modelwright.storage.base import (
    Claim,
    Partition,
    Storage,
)
from modelwright.testing.storage_suite import AWKWARD, StorageSuite, complete, make_spec

__all__ = ["StudyTests"]


class StudyTests(StorageSuite):
    """What holds of studies."""

    def test_a_study_comes_back_as_it_went_in(self, storage: Storage) -> None:
        spec = make_spec(
            "näme",
            objectives=(Objective("loss"), Objective("score", "maximize")),
            optimizer=Component("tpe", {"startup": 5, "nested": {"a": [1, None]}}),
            scheduler=Component("median"),
            seed=2**32 - 1,
            deterministic=True,
            reproducible=True,
            lease_s=12.5,
            max_attempts=7,
            retry={"error": 2, "timeout": 0},
            priority=-2,
            objective_ref="module:function",
            description="words\nmore",
            search=SearchSettings("ucb1", "tpe", 3, 2, 0, "f1", "cv", "walltime"),
        )
        created = storage.create_study(spec)
        record = storage.study("näme")
        assert record == created
        assert replace(record.spec, space=spec.space) == spec
        assert record.spec.space.to_json() == record.space == spec.space.to_json()
        assert (record.state, record.issued, record.space_version, record.closed) == (
            StudyState.PENDING,
            0,
            0,
            "",
        )
        assert (record.budget, record.cost, record.abort) == (Budget(), 0.0, False)
        assert (record.window, record.started_us) == (None, None)
        assert record.created_us > 0

    def test_names_are_unique(self, storage: Storage) -> None:
        storage.create_study(make_spec("one"))
        storage.create_study(make_spec("One"))
        with pytest.raises(StudyExistsError, match="one"):
            storage.create_study(make_spec("one"))
        assert [record.spec.name for record in storage.studies()] == ["one", "One"]

    def test_an_unknown_name_is_told_with_the_nearest(self, storage: Storage) -> None:
        with pytest.raises(StudyNotFoundError, match="no study yet"):
            storage.study("first")
        storage.create_study(make_spec("first"))
        with pytest.raises(StudyNotFoundError, match="'first'"):
            storage.study("frist")
        with pytest.raises(StudyNotFoundError):
            storage.delete_study("frist")

    def test_deleting_takes_all_that_belongs_to_a_study(self, storage: Storage) -> None:
        gone = storage.create_study(make_spec("gone"))
        kept = storage.create_study(make_spec("kept"))
        for study in (gone, kept):
            claim = self.take(storage, study.id, "c")
            storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
            storage.report(claim, [Report(1, {"value": 1.0})])
            storage.add_partitions(study.id, [Partition(0, "knn", {}, [], {})])
        storage.delete_study("gone", force=True)
        again = storage.create_study(make_spec("gone"))
        assert again.id != gone.id
        assert storage.trials(again.id) == []
        assert storage.partitions(again.id) == []
        assert len(storage.reports(kept.id, 0)) == 1
        claims = [Claim(gone.id, 0, 1, "c", 1)]
        assert storage.renew(claims, 1).lost == {0}
        for call in (
            lambda: storage.changes(gone.id, 0),
            lambda: storage.trials(gone.id),
            lambda: storage.claim(gone.id, "w", "c2", 1),
            lambda: storage.finish(claims[0], complete(), "c"),
        ):
            with pytest.raises(StudyNotFoundError):
                call()

    def test_states_keep_their_moments(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        running = storage.set_state(study.id, StudyState.RUNNING)
        assert running.started_us is not None
        paused = storage.set_state(study.id, StudyState.PAUSED)
        assert (paused.started_us, paused.ended_us) == (running.started_us, None)
        ended = storage.set_state(study.id, StudyState.COMPLETE)
        assert ended.ended_us is not None
        assert storage.set_state(study.id, StudyState.COMPLETE).revision == ended.revision
        assert storage.set_state(study.id, StudyState.PENDING).ended_us is None
        assert storage.set_state(study.id, StudyState.RUNNING).started_us == running.started_us

    def test_a_larger_budget_reopens_a_complete_study(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 2)
        storage.set_state(study.id, StudyState.COMPLETE)
        assert storage.set_budget(study.id, 1).state is StudyState.COMPLETE
        grown = storage.set_budget(study.id, 3)
        assert (grown.state, grown.budget.trials, grown.ended_us) == (StudyState.PENDING, 3, None)
        storage.set_state(study.id, StudyState.COMPLETE)
        assert storage.set_budget(study.id, None).state is StudyState.PENDING

    def test_the_window_is_set_once(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        assert storage.set_window(study.id, 4).window == 4
        assert storage.set_window(study.id, 2).window == 4

    def test_user_attrs_are_merged(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_user_attrs(study.id, {"a": 1, "b": 2})
        assert storage.set_user_attrs(study.id, {"b": 3}).user_attrs == {"a": 1, "b": 3}
        storage.set_user_attrs(study.id, AWKWARD)
        assert storage.study("study").user_attrs == {"a": 1, "b": 3, **AWKWARD}

    def test_a_space_grows_by_versions(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        wider = study.spec.space.with_parameter("y", Float(0, 2)).to_json()
        grown = storage.add_space(study.id, wider, based_on=0)
        assert (grown.space_version, grown.space) == (1, wider)
        assert grown.spec.space.names == study.spec.space.names
        late = storage.add_space(study.id, study.space, based_on=0)
        assert (late.space_version, late.space, late.revision) == (1, wider, grown.revision)
        assert self.take(storage, study.id, "c").space_version == 1

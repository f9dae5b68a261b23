# ruff: noqa: D102  (the names of the tests say what holds)
"""Conformance of storages: what people and tools do to studies, trials and workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from modelwright.errors import InputError, StudyExistsError, StudyNotFoundError, StudyStateError
from modelwright.records import FailureKind, Proposal, Provenance, Report, StudyState, TrialState
from modelwright.storage.base import Finish, Storage, WorkerInfo
from modelwright.storage.plain import result_form
from modelwright.testing.audit import audit
from modelwright.testing.storage_adopt import adopted
from modelwright.testing.storage_budgets import failed
from modelwright.testing.storage_suite import ManualClock, StorageSuite, complete, make_spec

__all__ = ["ControlTests"]

_VERBS: dict[str, Callable[[Storage, int], Any]] = {
    "pause": lambda s, i: s.set_state(i, StudyState.PAUSED, who="ann"),
    "stop now": lambda s, i: s.set_state(i, StudyState.COMPLETE, abort=True, who="ann"),
    "budget": lambda s, i: s.set_budget(i, 9, cost=2.5, who="ann"),
    "rename": lambda s, i: s.rename_study(i, "other", who="ann"),
    "priority": lambda s, i: s.set_priority(i, 7, who="ann"),
    "space": lambda s, i: s.add_space(i, {"parameters": [], "constraints": []}, 0, who="ann"),
    "enqueue": lambda s, i: s.enqueue(i, {"x": 0.5}, {}, request_id="again", who="ann"),
    "kill a running trial": lambda s, i: s.kill(i, 1, who="ann"),
    "kill a waiting trial": lambda s, i: s.kill(i, 2, who="ann"),
    "trim": lambda s, i: s.trim(i, [0], who="ann"),
}


class ControlTests(StorageSuite):
    """What holds of the verbs of control."""

    def busy_study(self, storage: Storage, **changes: Any) -> int:
        """Return the id of a study with a finished trial, a running one and one that waits."""
        study = storage.create_study(make_spec(**changes))
        claim = self.take(storage, study.id, "a")
        storage.report(claim, [Report(1, {"value": 1.0})])
        storage.finish(claim, complete(artifacts=(self.artifact("model"),)), "a")
        self.take(storage, study.id, "b")
        storage.enqueue(study.id, {"x": 0.25}, {})
        return study.id

    # all verbs ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("verb", _VERBS.values(), ids=_VERBS)
    def test_verbs_name_who_and_have_one_effect(
        self, storage: Storage, verb: Callable[[Storage, int], Any]
    ) -> None:
        study_id = self.busy_study(storage)
        before = storage.changes(study_id, 0).revision
        answer = verb(storage, study_id)
        (event,) = storage.events(study_id, before)
        assert event.payload["who"] == "ann"
        assert verb(storage, study_id) == answer
        assert storage.changes(study_id, 0).revision == before + 1
        audit(storage, study_id)

    def test_adopting_names_who(self, storage: Storage) -> None:
        study_id = self.busy_study(storage)
        storage.adopt(study_id, [adopted(5)], who="ann")
        assert storage.events(study_id)[-1].payload["who"] == "ann"

    def test_who_is_told_only_if_known(self, storage: Storage) -> None:
        study_id = self.busy_study(storage)
        storage.kill(study_id, 2)
        assert "who" not in storage.events(study_id)[-1].payload

    # studies -----------------------------------------------------------------------------------------

    def test_a_study_that_ends_takes_back_what_silent_workers_held(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        study = storage.create_study(make_spec(max_attempts=2))
        self.take(storage, study.id, "a")
        clock.advance(2 * self.lease_s)
        spent, again, killed, runs = (self.take(storage, study.id, name) for name in "bcde")
        assert [item.number for item in (spent, again, killed, runs)] == [0, 1, 2, 3]
        storage.kill(study.id, killed.number)
        clock.advance(2 * self.lease_s)
        storage.renew([runs], self.lease_s)
        before = storage.study("study")
        assert storage.set_state(study.id, StudyState.COMPLETE, expected=StudyState.RUNNING) == before
        record = storage.set_state(study.id, StudyState.COMPLETE, who="ann")
        assert storage.set_state(study.id, StudyState.COMPLETE, who="ann") == record
        (event,) = storage.events(study.id, before.revision)
        assert event.payload == {
            "state": "complete", "lost": [0], "waiting": [1], "killed": [2], "who": "ann"
        }  # fmt: skip
        trials = storage.trials(study.id)
        assert [trial.state.value for trial in trials] == ["failed", "waiting", "failed", "running"]
        assert [trial.failure and trial.failure.kind.value for trial in trials[:3]] == [
            "lost",
            None,
            "killed",
        ]
        assert [item.outcome for item in storage.attempts(study.id)] == ["lost"] * 4 + ["running"]
        assert record.cost == pytest.approx(4 * self.lease_s, rel=0.02)
        audit(storage, study.id)
        assert storage.renew([again, runs], self.lease_s).lost == {1}
        assert storage.finish(again, complete(), "c") is Finish.STALE
        assert storage.finish(runs, complete(), "e") is Finish.ACCEPTED
        storage.set_state(study.id, StudyState.PENDING)
        once_more = self.take(storage, study.id, "f")
        assert (once_more.number, once_more.attempts, once_more.fence) == (1, 2, again.fence + 1)
        audit(storage, study.id)

    @pytest.mark.parametrize("state", list(StudyState))
    def test_running_is_entered_from_pending_only(self, storage: Storage, state: StudyState) -> None:
        study = storage.create_study(make_spec())
        if state is StudyState.RUNNING:
            storage.set_state(study.id, StudyState.RUNNING)
        before = storage.set_state(study.id, state)
        after = storage.set_state(study.id, StudyState.RUNNING)
        if state in (StudyState.PENDING, StudyState.RUNNING):
            assert after.state is StudyState.RUNNING
        else:
            assert after == before
            assert storage.set_state(study.id, StudyState.PENDING).state is StudyState.PENDING

    def test_a_state_that_is_not_as_expected_stays(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_state(study.id, StudyState.RUNNING)
        paused = storage.set_state(study.id, StudyState.PAUSED, expected=StudyState.RUNNING)
        assert paused.state is StudyState.PAUSED
        # A worker that leaves does not wake a study that somebody has paused.
        left = storage.set_state(study.id, StudyState.PENDING, expected=StudyState.RUNNING)
        assert left == paused
        assert (
            storage.set_state(study.id, StudyState.PAUSED, abort=True, expected=StudyState.PENDING) == paused
        )

    def test_a_paused_study_gives_nothing_out(self, storage: Storage, clock: ManualClock) -> None:
        study_id = self.busy_study(storage)
        storage.set_state(study_id, StudyState.PAUSED)
        assert self.why_not(storage, study_id) == "paused"
        clock.advance(2 * self.lease_s)
        assert self.why_not(storage, study_id) == "paused"
        assert storage.trial(study_id, 1).fence == 1
        storage.set_state(study_id, StudyState.PENDING)
        assert [self.take(storage, study_id, name).number for name in "cde"] == [1, 2, 3]

    def test_breaking_off_is_asked_through_renew(self, storage: Storage) -> None:
        one, two = (storage.create_study(make_spec(name)) for name in ("one", "two"))
        claims = [self.take(storage, study.id, "a") for study in (one, two)]
        assert storage.renew(claims, self.lease_s).abort == frozenset()
        assert storage.set_state(one.id, StudyState.PAUSED).abort is False
        assert storage.renew(claims, self.lease_s).abort == frozenset()
        assert storage.set_state(one.id, StudyState.PAUSED, abort=True).abort is True
        controls = storage.renew(claims, self.lease_s)
        assert controls.abort == {one.id}
        assert controls.state == {one.id: StudyState.PAUSED, two.id: StudyState.PENDING}
        assert storage.set_state(one.id, StudyState.COMPLETE).abort is True
        assert storage.release(claims[0], "broken off")
        assert storage.set_state(one.id, StudyState.PENDING, abort=True).abort is False
        assert storage.study("one").abort is False
        assert storage.renew(claims, self.lease_s).abort == frozenset()

    @pytest.mark.parametrize("more", ["enqueue", "budget", "adopt"])
    def test_a_study_that_goes_on_breaks_nothing_off(self, storage: Storage, more: str) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 1)
        stopped = storage.set_state(study.id, StudyState.COMPLETE, abort=True)
        assert stopped.ended_us is not None
        if more == "enqueue":
            storage.enqueue(study.id, {"x": 0.5}, {})
        elif more == "budget":
            storage.set_budget(study.id, 2)
        else:
            storage.adopt(study.id, [adopted(state="waiting")])
        record = storage.study("study")
        assert (record.state, record.abort, record.ended_us) == (StudyState.PENDING, False, None)

    def test_what_runs_while_a_study_rests_still_counts(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "a")
        storage.set_state(study.id, StudyState.COMPLETE)
        assert storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0) is None
        assert storage.report(claim, [Report(1, {"value": 1.0})])
        assert storage.finish(claim, complete(), "a") is Finish.ACCEPTED

    def test_a_study_gets_another_name(self, storage: Storage) -> None:
        study = storage.create_study(make_spec("one"))
        storage.create_study(make_spec("two"))
        renamed = storage.rename_study(study.id, "drei")
        assert (renamed.spec.name, renamed.id) == ("drei", study.id)
        assert storage.study("drei") == renamed
        with pytest.raises(StudyNotFoundError):
            storage.study("one")
        for taken, error in (("two", StudyExistsError), ("a/b", InputError), ("", InputError)):
            with pytest.raises(error):
                storage.rename_study(study.id, taken)
        assert storage.study("drei") == renamed
        assert storage.create_study(make_spec("one")).id != study.id

    def test_a_priority_shows_in_the_spec(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        assert storage.set_priority(study.id, 9).spec.priority == 9
        assert storage.study("study").spec.priority == 9
        assert [record.spec.priority for record in storage.studies()] == [9]

    def test_a_study_that_runs_is_deleted_by_force_only(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "a")
        with pytest.raises(StudyStateError):
            storage.delete_study("study")
        assert storage.trial(study.id, 0).state is TrialState.RUNNING
        storage.delete_study("study", force=True)
        assert storage.renew([claim], self.lease_s).lost == {0}
        again = storage.create_study(make_spec())
        self.take(storage, again.id, "b")
        clock.advance(2 * self.lease_s)
        storage.delete_study("study")
        assert storage.studies() == []

    def test_every_version_of_a_space_is_kept(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        forms = [study.space, {"parameters": [], "constraints": []}]
        storage.add_space(study.id, forms[1], 0)
        storage.add_space(study.id, study.space, 0)
        assert storage.spaces(study.id) == forms

    # enqueueing --------------------------------------------------------------------------------------

    def test_a_request_adds_one_trial(self, storage: Storage) -> None:
        one, two = (storage.create_study(make_spec(name)) for name in ("one", "two"))
        storage.set_budget(one.id, 1)
        numbers = [storage.enqueue(one.id, {"x": i / 4}, {}, request_id="r") for i in range(3)]
        assert numbers == [0, 0, 0]
        assert storage.trial(one.id, 0).params == {"x": 0.0}
        assert storage.enqueue(one.id, {"x": 0.5}, {}, request_id="other") == 1
        assert [storage.enqueue(one.id, {"x": 0.5}, {}) for _ in range(2)] == [2, 3]
        assert storage.enqueue(two.id, {"x": 0.5}, {}, request_id="r") == 0
        assert storage.study("one").budget.trials == 4
        self.run_one_waiting(storage, one.id)
        assert storage.enqueue(one.id, {"x": 0.5}, {}, request_id="r") == 0

    def run_one_waiting(self, storage: Storage, study_id: int) -> None:
        """Finish the first trial that waits."""
        claim = self.take(storage, study_id, "waiting")
        assert storage.finish(claim, complete(), "waiting") is Finish.ACCEPTED

    # killing -----------------------------------------------------------------------------------------

    def test_killing_a_trial_that_waits(self, storage: Storage) -> None:
        study_id = self.busy_study(storage)
        trial = storage.kill(study_id, 2)
        assert trial == storage.trial(study_id, 2)
        assert trial.failure is not None
        assert (trial.state, trial.failure.kind) == (TrialState.FAILED, FailureKind.KILLED)
        assert trial.finished_revision == trial.revision == storage.changes(study_id, 0).revision
        assert (trial.params, trial.attempts) == ({"x": 0.25}, 0)
        assert trial.ended_us is not None
        assert self.take(storage, study_id, "c").number == 3

    def test_killing_a_running_trial_is_asked_through_renew(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "a")
        assert storage.renew([claim], self.lease_s).stop == frozenset()
        assert storage.kill(study.id, 0).state is TrialState.RUNNING
        assert storage.renew([claim], self.lease_s).stop == {0}
        assert storage.renew([claim], self.lease_s).stop == {0}
        outcome = failed("killed")
        assert storage.finish(claim, outcome, "a") is Finish.ACCEPTED
        assert storage.trial(study.id, 0).failure == outcome.failure
        assert storage.renew([claim], self.lease_s).lost == frozenset()

    def test_a_result_that_came_first_stands(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "a")
        storage.kill(study.id, 0)
        assert storage.finish(claim, complete(0.5), "a") is Finish.ACCEPTED
        done = storage.trial(study.id, 0)
        revision = storage.study("study").revision
        assert storage.kill(study.id, 0) == done
        assert storage.study("study").revision == revision
        assert done.values == (0.5,)

    def test_a_number_that_is_none_cannot_be_killed(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        for number in (0, -1, 7):
            with pytest.raises(KeyError):
                storage.kill(study.id, number)

    def test_a_kill_outlives_the_worker_that_was_asked(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        silent, giver, gone = (self.take(storage, study.id, name) for name in "abc")
        for claim in (silent, giver, gone):
            storage.propose(claim, Proposal({"x": claim.number / 8}), Provenance(), 0)
            storage.kill(study.id, claim.number)
        assert storage.release(giver, "drained")
        clock.advance(2 * self.lease_s)
        # Nobody runs it any more, so it ends at once.
        assert storage.kill(study.id, 2).state is TrialState.FAILED
        assert self.take(storage, study.id, "d").number == 3
        for number in range(3):
            failure = storage.trial(study.id, number).failure
            assert failure is not None
            assert failure.kind is FailureKind.KILLED
        assert storage.renew([silent, gone], self.lease_s).lost == {0, 2}
        assert storage.finish(silent, complete(), "a") is Finish.STALE
        assert [item.outcome for item in storage.attempts(study.id)] == [
            "lost",
            "released",
            "lost",
            "running",
        ]
        audit(storage, study.id)

    def test_what_is_to_be_killed_is_not_tried_again(self, storage: Storage) -> None:
        study = storage.create_study(make_spec(retry={"error": 5}))
        claim = self.take(storage, study.id, "a")
        storage.kill(study.id, 0)
        assert storage.finish(claim, failed(), "a") is Finish.ACCEPTED

    # results that come too late ----------------------------------------------------------------------

    def test_a_stale_result_is_kept_whole(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        old = self.take(storage, study.id, "a")
        clock.advance(2 * self.lease_s)
        new = self.take(storage, study.id, "b")
        before = storage.trial(study.id, 0)
        outcomes = [
            complete(
                float("inf"),
                user_attrs={"note": "ü"},
                metrics={"folds": [1, 2]},
                artifacts=(self.artifact("model"),),
                duration_s=2.5,
                peak_memory_mb=17.0,
                log_location="logs/0-1",
            ),
            failed("memory", exit_code=-9, cost=3.5),
        ]
        for turn, outcome in enumerate(outcomes):
            assert storage.finish(old, outcome, f"late{turn}") is Finish.STALE
            event = storage.events(study.id)[-1]
            assert (event.kind, event.number, event.fence) == ("stale", 0, 1)
            assert event.payload == result_form(outcome, f"late{turn}")
        assert storage.trial(study.id, 0) == before
        assert storage.artifacts(study.id) == []
        assert storage.attempts(study.id)[0].outcome == "lost"
        assert storage.finish(new, complete(), "b") is Finish.ACCEPTED
        audit(storage, study.id)

    # trimming and counting ---------------------------------------------------------------------------

    def test_trimming_forgets_what_finished_trials_left(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claims = [self.take(storage, study.id, name) for name in "abc"]
        for claim in claims:
            storage.report(claim, [Report(1, {"value": float(claim.number)})])
        for claim in claims[:2]:
            storage.finish(claim, complete(artifacts=(self.artifact("model"),)), claim.claim_id)
        before = storage.trials(study.id)
        storage.trim(study.id, [0, 2, 0])
        assert storage.reports(study.id, 0) == []
        assert len(storage.reports(study.id, 1)) == len(storage.reports(study.id, 2)) == 1
        assert [number for number, _ in storage.changes(study.id, 0).reports] == [1, 2]
        assert [number for number, _ in storage.artifacts(study.id)] == [1]
        assert storage.trials(study.id) == before
        assert storage.events(study.id)[-1].payload["trials"] == [0]

    def test_counting_trials(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        assert sum(storage.counts(study.id).values()) == 0
        claims = [self.take(storage, study.id, name) for name in "abcd"]
        storage.finish(claims[0], complete(), "a")
        storage.finish(claims[1], failed(), "b")
        storage.propose(claims[2], Proposal({"x": 0.5}), Provenance(), 0)
        storage.release(claims[2], "drained")
        counts = {state: count for state, count in storage.counts(study.id).items() if count}
        assert counts == {
            TrialState.COMPLETE: 1,
            TrialState.FAILED: 1,
            TrialState.WAITING: 1,
            TrialState.RUNNING: 1,
        }
        storage.release(claims[3], "given back")
        assert sum(storage.counts(study.id).values()) == 3

    def test_attempts_are_the_history_of_fences(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        first = self.take(storage, study.id, "a", "w1")
        storage.propose(first, Proposal({"x": 0.5}), Provenance(), 0)
        storage.release(first, "drained")
        self.take(storage, study.id, "b", "w2")
        self.take(storage, study.id, "x", "w2")
        clock.advance(2 * self.lease_s)
        last = self.take(storage, study.id, "c", "w3")
        outcome = complete(duration_s=1.5, peak_memory_mb=12.5, exit_code=0, log_location="logs/0-3")
        storage.finish(last, outcome, "c")
        found = storage.attempts(study.id, 0)
        assert [(item.fence, item.worker, item.outcome) for item in found] == [
            (1, "w1", "released"),
            (2, "w2", "lost"),
            (3, "w3", "complete"),
        ]
        done = found[2]
        assert (done.duration_s, done.cost, done.peak_memory_mb, done.exit_code) == (1.5, 1.5, 12.5, 0)
        assert done.log_location == "logs/0-3"
        assert all(item.ended_us is not None and item.ended_us >= item.started_us > 0 for item in found)
        other = storage.attempts(study.id, 1)
        assert [(item.number, item.outcome, item.cost, item.ended_us) for item in other] == [
            (1, "running", None, None)
        ]
        assert storage.attempts(study.id) == found + other
        with pytest.raises(KeyError):
            storage.attempts(study.id, 2)

    # workers -----------------------------------------------------------------------------------------

    def test_workers_come_and_go(self, storage: Storage, clock: ManualClock) -> None:
        info = WorkerInfo("w1", "host", 17, "boot", 1.5, "1.0", "group")
        row = storage.register_worker(info)
        assert replace(row, registered_us=0, seen_us=0) == info
        assert row.registered_us == row.seen_us > 0
        clock.advance(1.0)
        later = storage.register_worker(replace(info, host="moved"))
        assert (later.host, later.registered_us) == ("moved", row.registered_us)
        assert later.seen_us > row.seen_us
        assert storage.workers() == [later]
        storage.retire_worker("w1")
        left = storage.workers()[0]
        assert left.left_us is not None
        assert left.left_us >= later.seen_us
        clock.advance(1.0)
        storage.retire_worker("w1")
        storage.retire_worker("nobody")
        assert storage.workers() == [left]
        assert storage.register_worker(left).left_us is None

    def test_a_worker_reads_what_is_asked_of_it(self, storage: Storage) -> None:
        info = WorkerInfo("w1", "host", 17, "boot", 1.5)
        assert storage.register_worker(replace(info, asked="now")).asked == ""
        for wish in ("drain", "drain", "now", ""):
            assert storage.ask_worker("w1", wish, who="ann").asked == wish
            assert storage.register_worker(info).asked == wish
            assert storage.workers()[0].asked == wish
        with pytest.raises(KeyError):
            storage.ask_worker("w2", "drain")
        with pytest.raises(InputError):
            storage.ask_worker("w1", "leave")  # type: ignore[arg-type]

    def test_a_wish_is_told_in_the_studies_of_a_worker(self, storage: Storage) -> None:
        one, two = (storage.create_study(make_spec(name)) for name in ("one", "two"))
        storage.register_worker(WorkerInfo("w1", "host", 17, "boot", 1.5))
        self.take(storage, one.id, "a", "w1")
        before = storage.study("one").revision
        for _ in range(2):
            storage.ask_worker("w1", "drain", who="ann")
        (event,) = storage.events(one.id, before)
        assert (event.kind, event.payload) == ("ask", {"worker": "w1", "wish": "drain", "who": "ann"})
        assert storage.study("two") == two

    def test_who_holds_a_trial_may_be_unknown(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        self.take(storage, study.id, "a", "nobody")
        assert storage.workers(study.id) == []
        assert storage.forfeit("nobody", "gone") == [0]

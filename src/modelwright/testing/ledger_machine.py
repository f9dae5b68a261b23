"""A storage driven at random beside a ledger on paper.

::

    TestMine = ledger_machine(lambda: Place(open=..., advance=..., close=...)).TestCase

Each step is one call that one of many processes could have made; after each the two must agree on every
trial, and at the end `audit` must find nothing. Hypothesis shortens a walk that fails to the calls that
matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from modelwright.errors import StaleClaimError, StudyStateError
from modelwright.records import (
    Failure,
    FailureKind,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudyState,
    TrialState,
)
from modelwright.storage.base import Claim, NoClaim, Storage
from modelwright.testing.audit import audit
from modelwright.testing.ledger_model import LEASE_S, MAX_ATTEMPTS, RETRY, PaperStudy, PaperTrial
from modelwright.testing.storage_suite import make_spec

__all__ = ["Place", "ledger_machine"]

_WORKERS = st.sampled_from(["w1", "w2"])
_PICK = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5])  # mostly the latest claim
_STATES = st.sampled_from(["pending", "pending", "running", "running", "paused", "complete", "failed"])
_KINDS = st.sampled_from(["", "", "error", "error", "memory", "killed"])
_COSTS = st.sampled_from([0, 5, 50])
_LIMITS: dict[str, Any] = {
    "trials": st.sampled_from([None, 1, 3, 5]),
    "time_s": st.sampled_from([None, None, 30, 200]),
    "cost": st.sampled_from([None, 40, 200]),
    "parallel": st.sampled_from([None, 1, 2]),
}


@dataclass(frozen=True)
class Place:
    """Where a ledger lies.

    Attributes
    ----------
    open : callable
        Returns a storage on it, each time the same ledger; the machine closes it before it opens another.
    advance : callable
        Lets so many seconds pass on the ledger's clock.
    close : callable
        Takes the ledger away.
    """

    open: Callable[[], Storage]
    advance: Callable[[float], None]
    close: Callable[[], None] = lambda: None


def ledger_machine(make_place: Callable[[], Place]) -> type[RuleBasedStateMachine]:
    """Return a state machine that drives the storages of `make_place`; its ``TestCase`` is for pytest.

    Parameters
    ----------
    make_place : callable
        Returns an empty ledger's `Place`, anew for each walk.
    """
    return type("LedgerMachine", (_LedgerMachine,), {"make_place": staticmethod(make_place)})


class _LedgerMachine(RuleBasedStateMachine):
    make_place: Callable[[], Place]

    def __init__(self) -> None:
        super().__init__()
        self.place = self.make_place()
        self.storage = self.place.open()
        self.now = 0
        self.count = 0
        self.papers: dict[int, PaperStudy] = {}
        self.claims: list[Claim] = []

    def teardown(self) -> None:
        try:
            for study_id in self.papers:
                audit(self.storage, study_id)
        finally:
            self.storage.close()
            self.place.close()

    def _study(self, pick: int) -> tuple[int, PaperStudy]:
        study_id = sorted(self.papers)[pick % len(self.papers)]
        return study_id, self.papers[study_id]

    def _claim(self, pick: int) -> tuple[Claim, PaperStudy]:
        claim = self.claims[-1 - pick % len(self.claims)]
        return claim, self.papers[claim.study_id]

    # studies -----------------------------------------------------------------------------------------

    @initialize()
    def first_study(self) -> None:
        self.create()

    @precondition(lambda self: 0 < len(self.papers) < 2)
    @rule()
    def create(self) -> None:
        spec = make_spec(f"study {len(self.papers)}", max_attempts=MAX_ATTEMPTS, retry=RETRY)
        self.papers[self.storage.create_study(spec).id] = PaperStudy()

    @rule(pick=_PICK, change=st.sampled_from(["state", "budget", "budget", "restart"]), data=st.data())
    def from_outside(self, pick: int, change: str, data: st.DataObject) -> None:
        """What happens more rarely than work; one rule, since all rules are drawn alike."""
        if change == "restart":
            self.storage.close()
            self.storage = self.place.open()
        elif change == "budget":
            self._set_budget(pick, data.draw(st.sampled_from(sorted(_LIMITS))), data)
        else:
            expected = data.draw(st.none() | _STATES, label="expected")
            self._set_state(pick, data.draw(_STATES), expected, data.draw(st.booleans(), label="abort"))

    @rule(pick=_PICK)
    def resume(self, pick: int) -> None:
        self._set_state(pick, "pending", None, False)

    def _set_state(self, pick: int, state: str, expected: str | None, abort: bool) -> None:
        study_id, paper = self._study(pick)
        paper.move(self.now, state, expected, abort)
        wanted = None if expected is None else StudyState(expected)
        record = self.storage.set_state(study_id, StudyState(state), expected=wanted, abort=abort)
        assert (record.state, record.abort) == (paper.state, paper.abort)

    def _set_budget(self, pick: int, name: str, data: st.DataObject) -> None:
        study_id, paper = self._study(pick)
        value = data.draw(_LIMITS[name], label=name)
        paper.set_limit(name, value)
        record = self.storage.set_budget(study_id, **{name: value})
        assert getattr(record.budget, name) == value

    @rule(seconds=st.sampled_from([1, 20, 70, 130]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.place.advance(seconds)

    # trials ------------------------------------------------------------------------------------------

    @rule(pick=_PICK, worker=_WORKERS)
    def claim(self, pick: int, worker: str) -> None:
        self.count += 1
        self._ask(pick, worker, f"c{self.count}")

    @rule(pick=_PICK, n=st.integers(1, 3), kind=_KINDS, cost=_COSTS)
    def work(self, pick: int, n: int, kind: str, cost: int) -> None:
        """What a worker does that nobody disturbs."""
        before = len(self.claims)
        self.claim(pick, "w1")
        if len(self.claims) > before:
            self.propose(0, n, False)
            self.finish(0, kind, cost, True)

    @precondition(lambda self: self.claims)
    @rule(pick=_PICK, worker=_WORKERS)
    def claim_again(self, pick: int, worker: str) -> None:
        """The answer to a claim was lost; or the claim is long over, and its id is used again."""
        claim, _ = self._claim(pick)
        self._ask(sorted(self.papers).index(claim.study_id), worker, claim.claim_id)

    def _ask(self, pick: int, worker: str, claim_id: str) -> None:
        study_id, paper = self._study(pick)
        expected = paper.claim(self.now, worker, claim_id)
        answer = self.storage.claim(study_id, worker, claim_id, LEASE_S)
        if isinstance(expected, PaperTrial):
            assert isinstance(answer, Claim), answer
            assert (answer.number, answer.fence) == (expected.number, expected.fence)
            assert (answer.attempts, answer.params) == (expected.attempts, expected.params)
            self.claims.append(answer)
        else:
            assert answer == NoClaim(expected)  # type: ignore[arg-type]

    @precondition(lambda self: self.claims)
    @rule(pick=_PICK, n=st.integers(1, 3), unique=st.booleans())
    def propose(self, pick: int, n: int, unique: bool) -> None:
        claim, paper = self._claim(pick)
        trial = paper.held(claim.number, claim.fence)
        params = {"n": n}
        expected: object = None
        if trial is None:
            expected = StaleClaimError
        elif trial.params is not None:
            expected = None if trial.params == params else StudyStateError
        elif unique:
            expected = paper.twin(claim.number, params)
        if trial is not None and expected is None:
            trial.params = params
        answer: object
        try:
            answer = self.storage.propose(claim, Proposal(params), Provenance(), 0, unique=unique)
        except (StaleClaimError, StudyStateError) as error:
            answer = type(error)
        assert answer == expected

    @precondition(lambda self: self.claims)
    @rule(pick=_PICK, step=st.integers(1, 3))
    def report(self, pick: int, step: int) -> None:
        claim, paper = self._claim(pick)
        held = paper.held(claim.number, claim.fence) is not None
        assert self.storage.report(claim, [Report(step, {"value": 1.0})]) == held

    @precondition(lambda self: self.claims)
    @rule(pick=_PICK, kind=_KINDS, cost=_COSTS, again=st.booleans())
    def finish(self, pick: int, kind: str, cost: int, again: bool) -> None:
        claim, paper = self._claim(pick)
        # The same result told twice, or two results of one attempt.
        result_id = f"{claim.claim_id}-{claim.fence}" + ("" if again else f"-{self.count}")
        expected = paper.finish(claim.number, claim.fence, result_id, kind, cost)
        failure = Failure(FailureKind(kind), "words") if kind else None
        state = TrialState.FAILED if kind else TrialState.COMPLETE
        values = () if kind else (0.5,)
        outcome = Outcome(state, values, failure, duration_s=7.0, cost=float(cost))
        assert self.storage.finish(claim, outcome, result_id) == expected

    @precondition(lambda self: self.claims)
    @rule(pick=_PICK, close=st.sampled_from([False] * 7 + [True]))
    def release(self, pick: int, close: bool) -> None:
        claim, paper = self._claim(pick)
        expected = paper.release(self.now, claim.number, claim.fence, close)
        assert self.storage.release(claim, "given back", close=close) == expected

    @precondition(lambda self: self.claims)
    @rule(pick=_PICK)
    def renew(self, pick: int) -> None:
        claim, paper = self._claim(pick)
        lost, stop = paper.renew(self.now, claim.number, claim.fence)
        controls = self.storage.renew([claim], LEASE_S)
        assert (claim.number in controls.lost, claim.number in controls.stop) == (lost, stop)
        assert controls.state == {claim.study_id: paper.state}
        assert (claim.study_id in controls.abort) == paper.abort

    @precondition(lambda self: any(paper.live(self.now) for paper in self.papers.values()))
    @rule(worker=_WORKERS)
    def forfeit(self, worker: str) -> None:
        gone = [
            n for study_id in sorted(self.papers) for n in self.papers[study_id].forfeit(self.now, worker)
        ]
        assert self.storage.forfeit(worker, "dead") == gone

    @rule(pick=_PICK, n=st.integers(1, 3), request_id=st.sampled_from(["", "", "r1", "r2"]))
    def enqueue(self, pick: int, n: int, request_id: str) -> None:
        study_id, paper = self._study(pick)
        expected = paper.enqueue({"n": n}, request_id)
        assert self.storage.enqueue(study_id, {"n": n}, {}, request_id=request_id) == expected

    @rule(pick=_PICK, number=st.integers(0, 7))
    def kill(self, pick: int, number: int) -> None:
        study_id, paper = self._study(pick)
        if paper.issued and number < 7:
            number %= paper.issued
            assert self.storage.kill(study_id, number).state == paper.kill(self.now, number)
            return
        try:
            self.storage.kill(study_id, paper.issued)
        except KeyError:
            return
        raise AssertionError(f"trial {paper.issued} was killed, and there is none")

    # what must hold ----------------------------------------------------------------------------------

    @invariant()
    def they_agree(self) -> None:
        for study_id, paper in self.papers.items():
            trials = self.storage.trials(study_id)
            assert [_seen(trial) for trial in trials] == [
                (trial.number, trial.state, trial.params, trial.fence, trial.attempts, trial.kind)
                for trial in sorted(paper.trials.values(), key=lambda trial: trial.number)
            ]
            study = self.storage.changes(study_id, 2**40).study
            assert (study.state, study.abort, bool(study.closed)) == (paper.state, paper.abort, paper.closed)
            assert (study.issued, study.cost) == (paper.issued, paper.cost)
            assert study.budget.trials == paper.limits["trials"]


def _seen(trial: Any) -> tuple[Any, ...]:
    kind = "" if trial.failure is None else trial.failure.kind.value
    return trial.number, trial.state, trial.params, trial.fence, trial.attempts, kind

"""Carries out what the engine decides: asks the ledger, the optimizer and the executor."""

from __future__ import annotations

import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright._base.seeds import generator, seed_for
from modelwright.errors import ModelwrightError, StaleClaimError
from modelwright.execution.base import (
    End,
    Ended,
    EndKind,
    Event,
    Executor,
    Function,
    Job,
    Limits,
    Started,
    Task,
)
from modelwright.records import (
    Exhausted,
    Failure,
    FailureKind,
    Outcome,
    Report,
    StudyState,
    Ticket,
    Wait,
)
from modelwright.schedulers import Decision, Scheduler, TrialView
from modelwright.storage.base import Claim, Finish, NoClaim, WorkerInfo
from modelwright.study import engine as e
from modelwright.study.callbacks import Callback
from modelwright.study.leases import LeaseKeeper
from modelwright.study.outcomes import outcome_of
from modelwright.study.proposing import Proposer
from modelwright.study.signals import Interrupts
from modelwright.study.trial import ObjectiveCall
from modelwright.study.values import last_values
from modelwright.study.worker import forfeit_dead_workers

if TYPE_CHECKING:
    from modelwright.study.study import Study

__all__ = ["Runner"]

_TICK_S = 0.2  # how often the engine is asked while nothing happens
_WAIT_TICK_S = 0.02  # while a proposal waits for results of others
_REPORT_PAUSE_S = 0.25  # reports are written in batches, at most this late
_REAP_S = 2.0  # how often dead workers of this machine are looked for while others hold what we wait for
_LIMITS = frozenset({FailureKind.TIMEOUT, FailureKind.MEMORY})

_log = logging.getLogger("modelwright")


@dataclass(slots=True, eq=False)
class _Attempt:
    """A claimed trial of this run."""

    claim: Claim
    params: dict[str, Any] | None = None  # real values, once proposed
    job: Job | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    unwritten: list[Report] = field(default_factory=list)
    unwritten_since: float = 0.0
    pruned: bool = False


class Runner:
    """One run of a study by this process.

    Parameters
    ----------
    study : Study
        Its storage, ledger view and proposer are used.
    call : ObjectiveCall
        The task function of the trials.
    executor : Executor
        Where trials run; the caller closes it.
    engine : Engine
        Decides.
    limits : Limits
        Of each trial.
    worker : WorkerInfo
        Who this is to the ledger.
    scheduler : callable, optional
        Makes one that stops trials early; one is made for each history that decisions are taken by.
    catch : tuple of exception types
        An exception of another type ends the run, after its trial has been recorded as failed.
    callbacks : sequence of Callback
        Called in order.
    folder : Path, optional
        Where each attempt gets a folder of its own.
    """

    def __init__(
        self,
        study: Study,
        call: ObjectiveCall,
        executor: Executor,
        engine: e.Engine,
        *,
        limits: Limits,
        worker: WorkerInfo,
        scheduler: Callable[[], Scheduler] | None,
        catch: tuple[type[BaseException], ...],
        callbacks: Sequence[Callback],
        folder: Path | None,
    ) -> None:
        self.study = study
        self.executor = executor
        self._interrupts = Interrupts(executor)
        # A process of its own gets the call itself; in this one Ctrl-C has to be able to end it.
        self._call: Function = call if executor.isolates else self._interrupts.breakable(call)
        self._engine = engine
        self._limits = limits
        self._worker = worker
        self._make_scheduler = scheduler
        self._schedulers: dict[int, Scheduler] = {}
        self._catch = tuple(f"{t.__module__}.{t.__qualname__}" for t in catch)
        self._callbacks = list(callbacks)
        self._folder = folder
        self._storage = study._storage
        self._view = study._view
        self._proposer: Proposer = study._proposer
        self._study_id = study._view.record.id
        self._lease_s = study._view.record.spec.lease_s
        self._attempts: dict[int, _Attempt] = {}
        self._leases = LeaseKeeper(self._storage, self._lease_s, executor.wake)
        self._next_reap_s = 0.0
        self._stop_reason = ""
        self._ended: e.EndRun | None = None
        self._uncaught: str | None = None

    # for callbacks -----------------------------------------------------------------------------------

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the run's deadline; None without one."""
        if self._engine.deadline_s is None:
            return None
        return max(0.0, self._engine.deadline_s - time.monotonic())

    @property
    def in_flight(self) -> int:
        """How many trials this run holds at the moment."""
        return self._engine.in_flight

    @property
    def worker_id(self) -> str:
        """Who this run is to the ledger."""
        return self._worker.id

    def stop(self, reason: str = "stopped") -> None:
        """Start no more trials, and end when the running ones are over; callable from any thread."""
        self._stop_reason = reason
        self.executor.wake()

    def submit_helper(self, task: Task) -> Job:
        """Run a task beside the trials, in a slot of the task's role; poll ``job.done``.

        An executor of one's own with slots of the role ``"helper"`` keeps such tasks out of the trials' way.
        """
        return self.executor.submit(task)

    def wait(self, job: Job, timeout_s: float) -> bool:
        """Wait for a helper task; False when it has not ended after `timeout_s`."""
        until = time.monotonic() + timeout_s
        while not job.done and (left := until - time.monotonic()) > 0:
            self._pump(min(left, _TICK_S))
        return job.done

    # the loop ----------------------------------------------------------------------------------------

    def run(self) -> str:
        """Run until the engine ends it, and return why it ended.

        Raises
        ------
        KeyboardInterrupt
            The user pressed Ctrl-C; the ledger is clean: no trial of this run is left running.
        ModelwrightError
            An objective raised what `catch` does not name.
        """
        with self._interrupts:
            try:
                ended = self._loop()
                self._call_back("on_end", ended.reason)
            except BaseException:
                self._abandon()
                raise
            finally:
                self._leases.close()
        self._leave(ended)
        if self._uncaught is not None:
            raise ModelwrightError(self._uncaught, code="E_OBJECTIVE")
        if self._interrupts.signal is not None:
            self._interrupts.raise_again()
        return ended.reason

    def _loop(self) -> e.EndRun:
        self._call_back("on_start")
        while True:
            if self._stop_reason:
                self._feed(e.StopRequested(self._stop_reason))
            self._feed(e.Tick(time.monotonic()))
            if self._ended is not None:
                return self._ended
            self._pump(self._pause_s())
            self._call_back("on_tick")

    def _leave(self, ended: e.EndRun) -> None:
        """Say in the ledger how the study stands, now that this run is over."""
        if ended.complete and self._nothing_came_up():
            self._storage.set_state(self._study_id, StudyState.COMPLETE)
        elif self._view.record.state is StudyState.RUNNING and not self._view.others_run():
            self._storage.set_state(self._study_id, StudyState.PENDING)

    def _nothing_came_up(self) -> bool:
        """Whether the study is still over: somebody may have raised its budget in the last moment."""
        self._view.refresh()
        record = self._view.record
        used_up = record.budget_trials is not None and record.issued >= record.budget_trials
        return (used_up or bool(record.closed)) and not self._view.unfinished

    def _pause_s(self) -> float:
        pause = _WAIT_TICK_S if self._engine.waiting else _TICK_S
        return min(pause, self.remaining_s or pause)  # after the deadline, trials have their grace

    def _pump(self, timeout_s: float) -> None:
        """Let the executor work, and pass on what came of it."""
        events: Sequence[Event] = ()
        with self._interrupts.absorbing():
            events = self.executor.events(timeout_s, self._answer)
        now = time.monotonic()
        for event in events:
            attempt = self._attempt_of(event.job)
            if attempt is None:
                continue  # a helper task: whoever submitted it polls it
            number = attempt.claim.number
            if isinstance(event, Started):
                self._call_back("on_trial_start", number)
            elif isinstance(event, Ended):
                assert event.job.end is not None
                self._feed(e.TaskEnded(number, event.job.end.kind is EndKind.CANCELLED))
        lost, stop, states = self._leases.take()
        for number in lost:
            self._feed(e.ClaimLost(number))
        for number in stop:
            self._feed(e.StopAsked(number))
        for state in states:
            self._feed(e.StudyMoved(state))
        for attempt in self._attempts.values():
            if attempt.unwritten and now - attempt.unwritten_since > _REPORT_PAUSE_S:
                self._write_reports(attempt)
        if (again := self._interrupts.take()) is not None:
            if again:
                self._interrupts.raise_again()  # no more grace: the executor is closed on the way out
            self._feed(e.Interrupted(now, hard=False))

    def _attempt_of(self, job: Job) -> _Attempt | None:
        """Return the attempt that a job belongs to; None for helper tasks and what an earlier run left."""
        attempt = self._attempts.get(job.attrs.get("number", -1))
        return attempt if attempt is not None and attempt.job is job else None

    def _feed(self, event: e.Event) -> None:
        events = deque([event])
        while events:
            for instruction in self._engine.handle(events.popleft()):
                answer = self._perform(instruction)
                if answer is not None:
                    events.append(answer)

    def _perform(self, instruction: e.Instruction) -> e.Event | None:
        match instruction:
            case e.ClaimTrial():
                return self._claim()
            case e.ProposeFor(number):
                return self._propose(number)
            case e.StartTrial(number):
                self._start(number)
            case e.CancelTrial(number, why):
                job = self._attempts[number].job
                assert job is not None
                job.cancel(why)
            case e.FinishTrial(number):
                self._finish(number)
            case e.ReleaseTrial(number, why, close):
                self._storage.release(self._attempts[number].claim, why, close=close)
                self._forget(number)
            case e.DropTrial(number):
                self._forget(number)
            case e.EndRun():
                self._ended = instruction
        return None

    # instructions ------------------------------------------------------------------------------------

    def _claim(self) -> e.Event:
        answer = self._storage.claim(self._study_id, self._worker.id, uuid.uuid4().hex, self._lease_s)
        now = time.monotonic()
        if isinstance(answer, NoClaim):
            if answer.reason == "busy":
                self._reap(now)
            return e.NothingToClaim(answer, now)
        self._attempts[answer.number] = _Attempt(answer)
        self._leases.add(answer)
        if answer.params is None:
            return e.Claimed(answer)
        self._view.refresh()
        return e.Claimed(answer, ready=self._view.settled(answer.number))

    def _reap(self, now: float) -> None:
        if now >= self._next_reap_s:
            self._next_reap_s = now + _REAP_S
            forfeit_dead_workers(self._storage, self._study_id, self._worker)

    def _propose(self, number: int) -> e.Event:
        attempt = self._attempts[number]
        if attempt.claim.params is not None:
            self._view.refresh()
            return e.Proposed(number) if self._view.settled(number) else self._wait_for_others(number)
        answer = self._proposer.ask(Ticket(number, generator(self._view.record.spec.seed, number)))
        if isinstance(answer, Wait):
            return self._wait_for_others(number)
        if isinstance(answer, Exhausted):
            return e.SpaceExhausted(number, answer.reason)
        try:
            attempt.params = self._proposer.write(attempt.claim, answer)
        except StaleClaimError:
            return e.ClaimLost(number)
        return e.Proposed(number)

    def _wait_for_others(self, number: int) -> e.Event:
        self._reap(time.monotonic())
        return e.ProposalWaits(number)

    def _start(self, number: int) -> None:
        attempt = self._attempts[number]
        claim, spec = attempt.claim, self._view.record.spec
        if attempt.params is None:  # it had a configuration already
            assert claim.params is not None
            attempt.params = self._proposer.load(claim.params)
            attempt.attrs = dict(self._view.trials[number].user_attrs)
        argument = {
            "number": number,
            "params": attempt.params,
            "seed": seed_for(spec.seed, number, "trial"),
            "attempt": claim.attempts,
            "fidelity": claim.fidelity,
            "user_attrs": attempt.attrs,
            "objectives": [objective.name for objective in spec.objectives],
        }
        folder = None if self._folder is None else self._folder / "trials" / f"{number}-{claim.fence}"
        task = Task(f"{number}-{claim.fence}", self._call, argument, folder, self._limits)
        attempt.job = self.executor.submit(task)
        attempt.job.attrs["number"] = number

    def _finish(self, number: int) -> None:
        attempt = self._attempts[number]
        self._write_reports(attempt)
        outcome = self._outcome(attempt)
        answer = self._storage.finish(attempt.claim, outcome, attempt.claim.claim_id)
        self._forget(number)
        if answer is Finish.STALE:
            return
        if outcome.failure is not None:
            self._look_at_failure(number, attempt, outcome.failure)
        if self._callbacks:
            self._view.refresh()
            self._call_back("on_trial_end", self._view.trials[number])

    def _outcome(self, attempt: _Attempt) -> Outcome:
        end = (attempt.job.end if attempt.job else None) or End(
            EndKind.CANCELLED, detail="stopped before it started"
        )
        folder = attempt.job.task.folder if attempt.job else None
        return outcome_of(
            end,
            pruned=attempt.pruned,
            last_values=last_values(attempt.reports, self._view.record.spec.objectives),
            user_attrs=attempt.attrs,
            log_location="" if folder is None else str(folder),
        )

    def _look_at_failure(self, number: int, attempt: _Attempt, failure: Failure) -> None:
        if failure.kind in _LIMITS and self._view.record.spec.reproducible:
            _log.warning(
                "trial %d ran into a limit (%s): lock-step mode cannot promise the same trials from here on",
                number,
                failure.message,
            )
        end = attempt.job.end if attempt.job else None
        if end is None or end.error is None or set(self._catch) & set(end.error.types):
            return
        self._uncaught = (
            f"trial {number} failed with {failure.message}, which `catch` does not name. "
            f"The trial is recorded as failed.\n{failure.traceback}"
        )
        self.stop("an exception that is not caught")

    def _forget(self, number: int) -> None:
        self._leases.remove(number)
        del self._attempts[number]

    # what trials say ---------------------------------------------------------------------------------

    def _answer(self, job: Job, kind: str, payload: Any) -> Any:
        attempt = self._attempt_of(job)
        if attempt is None:
            return None
        with self._interrupts.shielded():
            if kind == "report":
                self._take_report(attempt, payload)
            elif kind == "should_stop":
                return self._should_stop(attempt)
            elif kind == "attr":
                attempt.attrs.update(payload)
            elif kind == "parameter":
                try:
                    return {"value": self._proposer.suggest(attempt.claim, **payload)}
                except ModelwrightError as error:
                    return {"error": str(error)}
        return None

    def _take_report(self, attempt: _Attempt, payload: Any) -> None:
        report = Report(payload["step"], payload["values"], payload["fold"])
        attempt.reports.append(report)
        if not attempt.unwritten:
            attempt.unwritten_since = time.monotonic()
        attempt.unwritten.append(report)

    def _should_stop(self, attempt: _Attempt) -> bool:
        if self._make_scheduler is None or attempt.pruned:
            return attempt.pruned
        number = attempt.claim.number
        self._write_reports(attempt)
        self._view.refresh()
        lane = self._view.lane(number)
        if lane not in self._schedulers:
            self._schedulers[lane] = self._make_scheduler()
        trial = TrialView(number, self._own_curve(attempt))
        decision = self._schedulers[lane].decide(trial, self._view.decision_history(number))
        attempt.pruned = decision is Decision.STOP
        return attempt.pruned

    def _own_curve(self, attempt: _Attempt) -> list[tuple[float, float]]:
        """Return (step, loss) of this attempt by step, folds averaged; the last report for a step counts."""
        objective = self._view.record.spec.objectives[0]
        newest = {(report.step, report.fold): report.values for report in attempt.reports}
        by_step: dict[float, list[float]] = {}
        for (step, _), values in newest.items():
            if objective.name in values:
                by_step.setdefault(step, []).append(values[objective.name] * objective.sign)
        return [(step, sum(losses) / len(losses)) for step, losses in sorted(by_step.items())]

    def _write_reports(self, attempt: _Attempt) -> None:
        if attempt.unwritten:
            self._storage.report(attempt.claim, attempt.unwritten)
            attempt.unwritten = []

    # endings -----------------------------------------------------------------------------------------

    def _call_back(self, name: str, *arguments: Any) -> None:
        for callback in self._callbacks:
            method: Callable[..., None] = getattr(callback, name)
            method(self, *arguments)

    def _abandon(self) -> None:
        """Leave the ledger clean when the run itself fails: keep what is over, give back the rest."""
        for attempt in self._attempts.values():
            if attempt.job is not None and not attempt.job.done:
                attempt.job.cancel("the run has failed")
        for number in sorted(self._attempts, reverse=True):
            try:
                self._settle(self._attempts[number])
            except Exception:  # the ledger is out of reach, or the cause of it all: the lease will run out
                _log.debug("trial %d could not be given back", number, exc_info=True)
            self._forget(number)

    def _settle(self, attempt: _Attempt) -> None:
        end = attempt.job.end if attempt.job else None
        if end is None or end.kind is EndKind.CANCELLED:
            self._storage.release(attempt.claim, "the run has failed")
        else:
            self._write_reports(attempt)
            self._storage.finish(attempt.claim, self._outcome(attempt), attempt.claim.claim_id)

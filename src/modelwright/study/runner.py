"""Carries out what the engine decides: asks the ledger, the optimizer and the executor."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright._base.clock import Clock
from modelwright.errors import (
    ModelwrightError,
    StaleClaimError,
    StorageUnavailableError,
    StudyNotFoundError,
)
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
    StudyState,
    TrialState,
    Wait,
)
from modelwright.schedulers import Scheduler
from modelwright.storage.base import Claim, Finish, NoClaim, WorkerInfo
from modelwright.study import engine as e
from modelwright.study.argument import trial_argument
from modelwright.study.attempts import Attempt, Desk
from modelwright.study.budgets import is_over
from modelwright.study.call import ObjectiveCall
from modelwright.study.callbacks import Callback
from modelwright.study.enqueued import EnqueuedOnly, give_number_back
from modelwright.study.hopeless import Hopeless
from modelwright.study.leases import LeaseKeeper
from modelwright.study.outcomes import measured, outcome_of
from modelwright.study.proposing import Proposer
from modelwright.study.publishing import TrialFiles
from modelwright.study.signals import Interrupts
from modelwright.study.spool import SpooledResult, write_spool
from modelwright.study.stand_in import StandIn
from modelwright.study.values import last_values
from modelwright.study.worker import forfeit_dead_workers

if TYPE_CHECKING:
    from modelwright.study.study import Study

__all__ = ["Runner"]

_TICK_S = 0.2  # how often the engine is asked while nothing happens
_WAIT_TICK_S = 0.02  # while a proposal waits for results of others
_REAP_S = 2.0  # how often dead workers of this machine are looked for while others hold what we wait for
_GIVING_BACK_S = 5.0  # for the checkpoint of a trial that is given back: the worker may have to go
_SUCCESSES = (TrialState.COMPLETE, TrialState.PRUNED)
_LIMITS = frozenset({FailureKind.TIMEOUT, FailureKind.MEMORY})

_log = logging.getLogger("modelwright")


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
        Where each attempt gets a folder of its own, and leaves files.
    spool : Path
        The folder for results that a ledger out of reach could not take.
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
        spool: Path,
    ) -> None:
        self.study = study
        self.executor = executor
        self._interrupts = Interrupts(executor)
        # A process of its own gets the call itself; in this one Ctrl-C has to be able to end it.
        self._call: Function = call if executor.isolates else self._interrupts.breakable(call)
        self._engine = engine
        self._limits = limits
        self._worker = worker
        self._catch = tuple(f"{t.__module__}.{t.__qualname__}" for t in catch)
        self._callbacks = list(callbacks)
        self._spool = spool
        self._storage = study._storage
        self._view = study._view
        self._proposer: Proposer = study._proposer
        self._study_id = study._view.record.id
        self._lease_s = study._view.record.spec.lease_s
        self._enqueued = EnqueuedOnly(self._storage, self._view, self._lease_s)
        self._attempts: dict[int, Attempt] = {}
        # Where time passes in the executor only, nothing else may wait for it.
        own_clock: Clock | None = getattr(executor, "clock", None)
        self._clock = own_clock or time.monotonic
        self._waits = own_clock is None
        self._leases = LeaseKeeper(
            self._storage, self._lease_s, executor.wake, own_clock, self._stand_in(executor)
        )
        notify = executor.wake if self._waits else None
        self._files = TrialFiles(self._storage, self._study_id, folder, notify)
        self._next_reap_s = 0.0
        self._stop_reason = ""
        self._ended: e.EndRun | None = None
        self._uncaught: str | None = None
        self._hopeless = Hopeless()
        self._all_failed = ""
        self._desk = Desk(self._storage, self._view, self._proposer, scheduler, self._clock)

    def _stand_in(self, executor: Executor) -> StandIn | None:
        """Return who renews leases while a trial in this process lets no thread of ours have a turn."""
        alone = executor.isolates or not self._waits or not self._storage.url.startswith("sqlite:")
        return None if alone else StandIn(self._storage.url, self._lease_s)

    # for callbacks -----------------------------------------------------------------------------------

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the run's deadline; None without one."""
        if self._engine.deadline_s is None:
            return None
        return max(0.0, self._engine.deadline_s - self._clock())

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
        until = self._clock() + timeout_s
        while not job.done and (left := until - self._clock()) > 0:
            self._pump(min(left, _TICK_S))
        return job.done

    # the loop ----------------------------------------------------------------------------------------

    def run(self) -> str:
        """Run until the engine ends it, and return why it ended.

        Raises
        ------
        KeyboardInterrupt
            The user pressed Ctrl-C; the ledger is clean: no trial of this run is left running.
        StudyNotFoundError
            Somebody deleted the study; what ran has been ended.
        StorageUnavailableError
            The ledger stayed out of reach; results that it could not take are in a file, which the message
            names.
        ModelwrightError
            An objective raised what `catch` does not name.
        """
        with self._interrupts:
            try:
                ended = self._loop()
                self._call_back("on_end", ended.reason)
            except StorageUnavailableError as error:
                raise self._outlast(error) from error
            except StudyNotFoundError as error:
                self._abandon()
                if self._exists():
                    raise  # it is about another study, and comes from a callback
                raise StudyNotFoundError(
                    f"the study {self.study.name!r} was deleted while it ran; its running trials were ended."
                ) from error
            except BaseException:
                self._abandon()
                raise
            finally:
                self._leases.close()
                self._files.close()
        self._leave(ended)
        if self._uncaught is not None:
            raise ModelwrightError(self._uncaught, code="E_OBJECTIVE")
        if self._all_failed:
            raise ModelwrightError(
                f"{self._all_failed}.",
                hint=f"See the others: modelwright trials list {self.study.name} --state failed.",
                code="E_ALL_FAILED",
            )
        if self._interrupts.signal is not None:
            self._interrupts.raise_again()
        return ended.reason

    def _exists(self) -> bool:
        try:
            self._view.refresh()
        except StudyNotFoundError:
            return False
        return True

    def _loop(self) -> e.EndRun:
        self._call_back("on_start")
        while True:
            if self._stop_reason:
                self._feed(e.StopRequested(self._stop_reason))
            self._feed(e.Tick(self._clock()))
            if self._ended is not None:
                return self._ended
            self._pump(self._pause_s())
            self._call_back("on_tick")

    def _leave(self, ended: e.EndRun) -> None:
        """Say in the ledger how the study stands, now that this run is over."""
        self._view.refresh()
        state = self._view.record.state
        if state in (StudyState.PENDING, StudyState.RUNNING):
            if ended.complete:
                self._complete(state)
            elif not self._view.others_run():
                self._storage.set_state(self._study_id, StudyState.PENDING, expected=StudyState.RUNNING)

    def _complete(self, state: StudyState) -> None:
        """Close the study, and open it again if somebody has raised its budget in the last moment."""
        self._storage.set_state(self._study_id, StudyState.COMPLETE, expected=state)
        self._view.refresh()
        record = self._view.record
        if record.state is StudyState.COMPLETE and not is_over(
            record, self._view.unfinished, record.ended_us or 0
        ):
            self._storage.set_state(self._study_id, StudyState.PENDING, expected=StudyState.COMPLETE)

    def _pause_s(self) -> float:
        if not self._waits:
            due_s = min(self._engine.due_s, self._leases.due_s, self._desk.due_s)
            return max(0.0, due_s - self._clock())
        pause = _WAIT_TICK_S if self._engine.waiting else _TICK_S
        return min(pause, self.remaining_s or pause)  # after the deadline, trials have their grace

    def _pump(self, timeout_s: float) -> None:
        """Let the executor work, and pass on what came of it."""
        events: Sequence[Event] = ()
        with self._interrupts.absorbing():
            events = self.executor.events(timeout_s, self._answer)
        now = self._clock()
        self._leases.keep(now)
        for event in events:
            attempt = self._attempt_of(event.job)
            if attempt is None:
                continue  # a helper task: whoever submitted it polls it
            number = attempt.claim.number
            if isinstance(event, Started):
                self._call_back("on_trial_start", number)
            elif isinstance(event, Ended) and not self._files.begin(attempt, self._giving_back_s):
                self._ended_task(attempt)
        for attempt in self._files.take():
            assert attempt.publication is not None
            self._desk.outage = self._desk.outage or attempt.publication.outage
            if self._desk.outage is None:
                self._ended_task(attempt)
        if self._desk.outage is not None:
            raise self._desk.outage
        self._listen(now)
        self._desk.write_due(now)
        if (again := self._interrupts.take()) is not None:
            if again:
                self._interrupts.raise_again()  # no more grace: the executor is closed on the way out
            self._feed(e.Interrupted(now, hard=False))

    @property
    def _giving_back_s(self) -> float:
        """How long a checkpoint may take to its store when its trial is given back."""
        return _GIVING_BACK_S if self._engine.deadline_s is None else self._limits.grace_s

    def _ended_task(self, attempt: Attempt) -> None:
        assert attempt.job is not None
        assert attempt.job.end is not None
        self._feed(e.TaskEnded(attempt.claim.number, attempt.job.end.kind is EndKind.CANCELLED))

    def _listen(self, now: float) -> None:
        """Pass on what the ledger said when the leases were renewed."""
        heard = self._leases.take()
        if heard.deleted:
            raise StudyNotFoundError(f"no study with the id {self._study_id}.")
        for number in heard.lost:
            self._feed(e.ClaimLost(number))
        for number in heard.stop:
            if number in self._attempts:
                self._attempts[number].killed = True
            self._feed(e.StopAsked(number))
        if heard.state is not None:
            self._feed(e.StudyMoved(heard.state, heard.abort, now))

    def _attempt_of(self, job: Job) -> Attempt | None:
        """Return the attempt that a job belongs to; None for helper tasks and what an earlier run left."""
        attempt = self._attempts.get(job.attrs.get("number", -1))
        return attempt if attempt is not None and attempt.job is job else None

    def _feed(self, event: e.Event) -> None:
        events = deque([event])
        while events:
            for instruction in self._engine.handle(events.popleft()):
                answer = self._perform(instruction)
                if answer is not None:
                    e.put_answer(events, answer)

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
                self._files.hurry(number, self._limits.grace_s)
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
        proposes = self._proposer.proposes
        if not proposes and not self._enqueued.may_claim(self._clock()):
            return e.NothingToClaim(NoClaim("busy"), self._clock())
        answer = self._storage.claim(self._study_id, self._worker.id, secrets.token_hex(16), self._lease_s)
        now = self._clock()
        if isinstance(answer, Claim) and answer.params is None and not proposes:
            give_number_back(self._storage, self._view, answer, "nothing is enqueued")
            return e.NothingToClaim(NoClaim("busy"), now)
        if isinstance(answer, NoClaim):
            if answer.reason == "busy":
                self._reap(now)
            return e.NothingToClaim(answer, now)
        known = self._attempts.get(answer.number)
        if known is not None and known.job is not None:
            known.claim = answer  # it runs here, and its lease had run out: the machine slept, perhaps
        else:
            self._attempts[answer.number] = Attempt(answer)
        self._leases.add(answer)
        if answer.params is None:
            return e.Claimed(answer)
        self._view.refresh()
        return e.Claimed(answer, ready=self._view.settled(answer.number))

    def _reap(self, now: float) -> None:
        if now >= self._next_reap_s:
            self._next_reap_s = now + _REAP_S
            self._view.refresh()
            if self._view.unfinished > len(self._attempts):  # else nobody holds a trial but this run
                forfeit_dead_workers(self._storage, self._study_id, self._worker)

    def _propose(self, number: int) -> e.Event:
        attempt = self._attempts[number]
        if attempt.claim.params is not None:
            self._view.refresh()
            return e.Proposed(number) if self._view.settled(number) else self._wait_for_others(number)
        try:
            answer = self._proposer.propose(attempt.claim)
        except StaleClaimError:
            return e.ClaimLost(number)
        if isinstance(answer, Wait):
            return self._wait_for_others(number)
        if isinstance(answer, Exhausted):
            return e.SpaceExhausted(number, answer.reason)
        attempt.params = answer
        return e.Proposed(number)

    def _wait_for_others(self, number: int) -> e.Event:
        self._reap(self._clock())
        return e.ProposalWaits(number)

    def _start(self, number: int) -> None:
        attempt = self._attempts[number]
        claim, spec = attempt.claim, self._view.record.spec
        if attempt.params is None:  # it had a configuration already
            assert claim.params is not None
            attempt.params = self._proposer.load(claim.params)
            attempt.attrs = dict(self._view.trials[number].user_attrs)
        place = attempt.folder = self._files.place(claim)
        resumed = self._files.resume(claim, self._parent_fence(claim))
        if resumed is not None:
            attempt.earlier = self._view.reports(number)
        argument = trial_argument(
            spec,
            claim,
            attempt.params,
            attempt.attrs,
            folder=place,
            resume_from=resumed,
            own_process=self.executor.isolates,
            grace_s=self._limits.grace_s,
        )
        # What a trial prints is kept where its files stay, and is this process's own output elsewhere.
        output = place if self.executor.isolates and self._files.folder is not None else None
        task = Task(f"{number}-{claim.fence}", self._call, argument, output, self._limits)
        attempt.job = self.executor.submit(task)
        attempt.job.attrs["number"] = number

    def _parent_fence(self, claim: Claim) -> int:
        """Return the newest attempt at the trial that this one was promoted from; 0 without one."""
        parent = None if claim.parent is None else self._view.trials.get(claim.parent)
        return 0 if parent is None else parent.fence

    def _finish(self, number: int) -> None:
        attempt = self._attempts[number]
        self._desk.write_reports(attempt)
        outcome = self._outcome(attempt)
        answer = self._storage.finish(attempt.claim, outcome, attempt.claim.claim_id)
        if answer is Finish.ACCEPTED:
            self._files.finished(attempt.claim, outcome)
        self._forget(number)
        if answer is Finish.STALE:
            _log.warning(
                "trial %d passed to another worker; the result of this one is kept as an event", number
            )
            return
        if self._callbacks or answer is Finish.DUPLICATE:
            self._view.refresh()
        failure = outcome.failure
        if failure is not None:
            # A repeated call is answered as a duplicate, whatever the first answer was.
            first_lost = answer is Finish.DUPLICATE and not self._view.trials[number].state.finished
            if answer is Finish.RETRY or first_lost:
                _log.info("trial %d failed (%s) and is tried again", number, failure.message)
                self._call_back("on_trial_retry", self._view.trials.get(number), failure)
                return
            self._look_at_failure(number, attempt, failure)
        else:
            self._hopeless.succeeded()
        if self._callbacks:
            self._call_back("on_trial_end", self._view.trials[number])

    def _outcome(self, attempt: Attempt) -> Outcome:
        end = (attempt.job.end if attempt.job else None) or End(
            EndKind.CANCELLED, detail="stopped before it started"
        )
        folder = attempt.job.task.folder if attempt.job else None
        outcome = outcome_of(
            end,
            pruned=attempt.pruned,
            last_values=last_values(attempt.reports, self._view.record.spec.objectives),
            user_attrs=attempt.attrs,
            log_location="" if folder is None else str(folder),
        )
        outcome = measured(outcome, self._view.record.spec)
        return outcome if attempt.publication is None else attempt.publication.added_to(outcome)

    def _look_at_failure(self, number: int, attempt: Attempt, failure: Failure) -> None:
        if failure.kind in _LIMITS and self._view.record.spec.reproducible:
            _log.warning(
                "trial %d ran into a limit (%s): lock-step mode cannot promise the same trials from here on",
                number,
                failure.message,
            )
        self._give_up(self._hopeless.note(number, failure, self._engine.in_flight))
        end = attempt.job.end if attempt.job else None
        if end is None or end.error is None or set(self._catch) & set(end.error.types):
            return
        self._uncaught = (
            f"trial {number} failed with {failure.message}, which `catch` does not name. "
            f"The trial is recorded as failed.\n{failure.traceback}"
        )
        self.stop("an exception that is not caught")

    def _give_up(self, why: str) -> None:
        """End the run since nothing comes of it, unless something has come of an earlier one."""
        if not why or self._all_failed:
            return
        self._view.refresh()
        if any(self._view.counts.get(state) for state in _SUCCESSES):
            self._hopeless.succeeded()
            return
        self._all_failed = why
        self.stop("all trials have failed")

    def _forget(self, number: int) -> None:
        self._leases.remove(number)
        attempt = self._attempts.pop(number)
        self._desk.forget(attempt)
        self._files.forget(attempt)

    def _answer(self, job: Job, kind: str, payload: Any) -> Any:
        attempt = self._attempt_of(job)
        if attempt is None:
            return None
        with self._interrupts.shielded():
            return self._desk.answer(attempt, kind, payload)

    # endings -----------------------------------------------------------------------------------------

    def _call_back(self, name: str, *arguments: Any) -> None:
        for callback in self._callbacks:
            method: Callable[..., None] = getattr(callback, name)
            method(self, *arguments)

    def _outlast(self, outage: StorageUnavailableError) -> StorageUnavailableError:
        """Let running trials end without the ledger, keep what they give in a file; return what to raise."""
        self._desk.outage = outage
        running = [attempt.job for attempt in self._attempts.values() if attempt.job is not None]
        while any(not job.done for job in running) and self.remaining_s != 0:
            if self._interrupts.take() is not None:
                break
            with self._interrupts.absorbing():
                self.executor.events(_TICK_S, self._answer)
        for job in running:
            if not job.done:
                job.cancel(outage.message)
        results = [
            self._spooled(attempt)
            for attempt in self._attempts.values()
            if attempt.job is not None
            and attempt.job.end is not None
            and attempt.job.end.kind is not EndKind.CANCELLED
            and not attempt.spoilt
        ]
        if not results:
            return outage
        if any(result.files for result in results):
            self._files.keep()
        path = write_spool(self._spool, self._view.record, self._worker.id, results, self._files.folder)
        trials = ", ".join(str(result.claim.number) for result in results)
        return StorageUnavailableError(
            f"{outage.message} The results of these trials could not be told and are kept in {str(path)!r}: "
            f"{trials}.",
            hint="Tell them when the storage is back: modelwright.study.spool.resume_spool(storage, path).",
            code=outage.code,
        )

    def _spooled(self, attempt: Attempt) -> SpooledResult:
        files = self._files.not_published(attempt)
        return SpooledResult(attempt.claim, self._outcome(attempt), tuple(attempt.unwritten), tuple(files))

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

    def _settle(self, attempt: Attempt) -> None:
        end = attempt.job.end if attempt.job else None
        if end is None or end.kind is EndKind.CANCELLED:
            self._storage.release(attempt.claim, "the run has failed")
        else:
            self._files.leave_out(attempt, "the run has failed.")
            self._desk.write_reports(attempt)
            self._storage.finish(attempt.claim, self._outcome(attempt), attempt.claim.claim_id)

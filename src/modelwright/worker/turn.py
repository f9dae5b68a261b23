"""One turn at a study: trials, one after another, until another study should have its turn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from modelwright.errors import StorageError
from modelwright.execution.base import Executor
from modelwright.records import Failure, StudyState, Trial
from modelwright.schedulers import make_scheduler
from modelwright.storage.base import StudyRecord, WorkerInfo
from modelwright.study import Callback, Runner
from modelwright.study.engine import Engine
from modelwright.study.worker import forfeit_dead_workers
from modelwright.worker.board import Board
from modelwright.worker.leaving import Leaving
from modelwright.worker.places import spool_folder
from modelwright.worker.work import Session, Work

__all__ = ["TURN_S", "Turn", "TurnEnd"]

TURN_S = 2.0
"""How long a worker stays with a study before it looks whether another one should be next."""

_IDLE_S = 0.5  # how long all trials may be in others' hands before the worker looks elsewhere
_POLL_S = 0.5  # how often the ledger is asked again then
_REAP_S = 10.0
_LOOK_SHARE = 20  # a look that takes long, in a ledger of many studies, is taken less often


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """Why a turn is over, and how many trials it has finished."""

    reason: str
    trials: int


class Turn(Callback):
    """A run of a study that ends as soon as something else is more urgent.

    Whether something is, is looked up after a trial, or while all trials are in others' hands; never while
    a trial runs here, so that many workers with long trials ask little of the ledger.

    Parameters
    ----------
    work : Work
        The study.
    session : Session
        What this turn needs besides.
    me : WorkerInfo
        Who this is to the ledger.
    slots : int
        How many trials this worker and its siblings run at a time: the window of a study in lock-step mode
        that has none yet.
    at_a_time : int, default=1
        How many trials run in this turn at a time.
    leaving : Leaving
        Whether the worker is to leave.
    board : Board
        Which study comes next.
    told : callable
        Called with each trial that is over.
    """

    def __init__(
        self,
        work: Work,
        session: Session,
        me: WorkerInfo,
        *,
        slots: int,
        at_a_time: int = 1,
        leaving: Leaving,
        board: Board,
        told: Callable[[Trial], None],
    ) -> None:
        self._work = work
        self._session = session
        self._me = me
        self._slots = slots
        self._leaving = leaving
        self._board = board
        self._told = told
        self._trials = 0
        self._busy_at = self._look_at = self._reap_at = 0.0  # on the monotonic clock
        self._engine = Engine(at_a_time, session.deadline_s, poll_s=_POLL_S)

    def run(self, executor: Executor) -> TurnEnd:
        """Run trials until the turn is over; errors of the ledger and of the optimizer pass."""
        study = self._work.study
        self._take_up()
        component = study.spec.scheduler
        runner = Runner(
            study,
            self._work.call,
            executor,
            self._engine,
            limits=self._session.limits,
            worker=self._me,
            scheduler=None if component is None else partial(make_scheduler, component, study.objectives),
            catch=(BaseException,),
            callbacks=[*self._session.callbacks, self],
            folder=study.folder,
            spool=spool_folder(),
        )
        self._busy_at = time.monotonic()
        self._look_at = self._busy_at + TURN_S
        self._leaving.notify(executor.wake)
        try:
            reason = runner.run()
        finally:
            self._leaving.notify(None)
        self._session.over()
        return TurnEnd(reason, self._trials)

    def _take_up(self) -> None:
        """Free what dead workers of this machine held, and set the study going."""
        study = self._work.study
        storage, study_id = study.storage, study.record.id
        self._reap(time.monotonic())
        if study.spec.reproducible:
            storage.set_window(study_id, self._slots)
        storage.set_state(study_id, StudyState.RUNNING)
        study.state  # noqa: B018 - brings its copy of the ledger up to date

    # called by the run -------------------------------------------------------------------------------

    def on_trial_end(self, run: Runner, trial: Trial) -> None:
        """Count the trial, and say how it went."""
        self._note(run, trial)

    def on_trial_retry(self, run: Runner, trial: Trial | None, failure: Failure) -> None:
        """Say that an attempt has failed, and that there will be another one."""
        self._note(run, trial)

    def _note(self, run: Runner, trial: Trial | None) -> None:
        self._trials += 1
        if trial is not None:
            self._told(trial)
        if (now := time.monotonic()) >= self._look_at:  # before the next trial is claimed
            self._look(run, now)

    def on_tick(self, run: Runner) -> None:
        """End the turn when the worker is to leave, or another study is to have the next one."""
        now = time.monotonic()
        if self._leaving.reason:
            self._leave(run)
            return
        if run.in_flight:
            self._busy_at = now
        elif now - self._busy_at > _IDLE_S and now >= self._look_at:
            self._board.mark_busy(self._work.study.record.id)
            self._look(run, now)

    def _leave(self, run: Runner) -> None:
        # Callbacks spare themselves their last work when they hear of an interruption.
        run.stop("interrupted" if self._leaving.hurried else self._leaving.reason)
        if self._leaving.hurried:
            until, before = self._leaving.until_s, self._engine.deadline_s
            self._engine.deadline_s = until if before is None else min(until, before)

    def _look(self, run: Runner, now: float) -> None:
        """Look whether another study should be next."""
        study = self._work.study
        records: Sequence[StudyRecord] = ()
        # A ledger out of reach is noticed by the run itself, once it has something to write.
        with contextlib.suppress(StorageError):
            self._reap(now)
            records = study.storage.studies()
        self._look_at = time.monotonic() + max(TURN_S, _LOOK_SHARE * (time.monotonic() - now))
        if records and not self._board.keeps(study.record.id, records):
            run.stop("another study is next")

    def _reap(self, now: float) -> None:
        """Free what dead workers of this machine hold, now and then."""
        if now >= self._reap_at:
            self._reap_at = now + _REAP_S
            study = self._work.study
            forfeit_dead_workers(study.storage, study.record.id, self._me)

"""A worker's life: look for work, take a turn at it, look again; leave when there is none."""

from __future__ import annotations

import logging
import time

from modelwright.errors import (
    ModelwrightError,
    SchemaError,
    StorageUnavailableError,
    StudyNotFoundError,
)
from modelwright.execution.where import CLUSTER_AWAY
from modelwright.records import StudyState
from modelwright.storage.base import Storage, StudyRecord, WorkerInfo
from modelwright.worker.board import Board
from modelwright.worker.leaving import Leaving
from modelwright.worker.objectives import NotRunnableError, NotYetRunnableError, Objectives
from modelwright.worker.options import WorkerOptions
from modelwright.worker.speaking import Voice
from modelwright.worker.turn import Turn, TurnEnd
from modelwright.worker.venue import Venue
from modelwright.worker.work import Work, open_work

__all__ = ["Loop"]

_SOON_S = 0.5  # until it is looked again for what is on its way
_MOST_OPEN = 32  # studies whose copy of the ledger is kept between turns

_log = logging.getLogger("modelwright")


class Loop:
    """Turns at studies until it is time to leave.

    Parameters
    ----------
    storage : Storage
        The ledger.
    options : WorkerOptions
        What to do.
    me : WorkerInfo
        Who this is to the ledger.
    leaving : Leaving
        Whether to leave.
    voice : Voice
        Says what happens.
    slots : int
        How many trials the command runs at a time, in all its processes.

    Attributes
    ----------
    turns : int
        How many turns have been taken.
    """

    def __init__(
        self,
        storage: Storage,
        options: WorkerOptions,
        me: WorkerInfo,
        leaving: Leaving,
        voice: Voice,
        *,
        slots: int = 1,
    ) -> None:
        self._storage = storage
        self._options = options
        self._me = me
        self._leaving = leaving
        self._voice = voice
        self._slots = slots
        self._board = Board(options)
        self._objectives = Objectives(options.objective)
        self._open: dict[int, Work] = {}
        self._venue = Venue(options, leaving)
        self._awaited: dict[int, float] = {}  # since when, by study
        self._current = 0  # id of the study of the last turn
        self.turns = 0

    def run(self) -> None:
        """Work until there is nothing left, or until it is time to leave.

        Raises
        ------
        StudyNotFoundError
            There is no study of a name that was asked for.
        NotRunnableError
            There is work, and none of it can be done here.
        """
        while not self._leaving.reason:
            records = self._storage.studies()
            if not self._options.wait:
                self._check_names(records)
            record = self._board.choose(records)
            if record is not None:
                self._take_turn(record)
            elif not self._options.wait:
                self._voice.say("No studies with work found. Exiting.")
                self._check_refused()
                return
            else:
                self._voice.note("no work: waiting for some")
                self._leaving.pause(self._options.poll_s)

    def close(self) -> None:
        """End the processes that trials ran in."""
        self._venue.close()

    # turns -------------------------------------------------------------------------------------------

    def _take_turn(self, record: StudyRecord) -> None:
        try:
            work = self._work_for(record)
            end = self._run(work, record)
            self._after(work, record, end)
        except StudyNotFoundError:
            self._open.pop(record.id, None)
            self._voice.note(f"the study {record.spec.name!r} has been deleted")
        except (StorageUnavailableError, SchemaError):
            raise
        except NotYetRunnableError as error:
            self._wait_for(record, error)
        except NotRunnableError as error:
            self._refuse(record, str(error))
        except ModelwrightError as error:
            if error.code in CLUSTER_AWAY:
                raise
            self._refuse(record, f"the study {record.spec.name!r} cannot be run here: {error}")
        except Exception as error:  # of an optimizer or a scheduler, which may be anybody's code
            _log.debug("a turn at %r has failed", record.spec.name, exc_info=True)
            self._refuse(
                record, f"the study {record.spec.name!r} has failed: {type(error).__name__}: {error}"
            )

    def _work_for(self, record: StudyRecord) -> Work:
        work = self._open.pop(record.id, None)
        if work is None:
            work = open_work(self._storage, record, self._options, self._objectives, self._slots)
        self._open[record.id] = work  # at the end: the first is the one that was not used for longest
        if len(self._open) > _MOST_OPEN:
            del self._open[next(iter(self._open))]
        return work

    def _run(self, work: Work, record: StudyRecord) -> TurnEnd:
        session = work.begin()
        if session is None:
            return TurnEnd("time is up", 0)
        executor = self._venue.open(work.preload, work.folder)
        if record.id != self._current:
            self._current = record.id
            self._voice.say(f"Computing on study {record.spec.name!r}")
        self.turns += 1
        turn = Turn(
            work,
            session,
            self._me,
            slots=self._slots,
            at_a_time=self._venue.at_a_time,
            leaving=self._leaving,
            board=self._board,
            told=lambda trial: self._voice.trial(record.spec.name, trial),
        )
        return turn.run(executor)

    def _after(self, work: Work, record: StudyRecord, end: TurnEnd) -> None:
        if self._leaving.reason:
            return
        state, now = work.study.state, work.study.record
        if state in (StudyState.PENDING, StudyState.RUNNING):
            if end.trials == 0 and end.reason != "another study is next":
                self._board.mark_done(now)
            return
        del self._open[record.id]
        self._current = 0
        self._voice.ended(now, end.reason)

    # what cannot be done -----------------------------------------------------------------------------

    def _wait_for(self, record: StudyRecord, error: NotYetRunnableError) -> None:
        """Look at other studies for a moment, while what this one needs is on its way."""
        since = self._awaited.setdefault(record.id, time.monotonic())
        if time.monotonic() - since > self._options.patience_s:
            self._refuse(record, str(error))
            return
        self._voice.note(str(error))
        self._board.mark_busy(record.id)
        self._leaving.pause(_SOON_S)

    def _refuse(self, record: StudyRecord, why: str) -> None:
        self._open.pop(record.id, None)
        self._board.refused[record.id] = why
        self._voice.note(why)

    def _check_names(self, records: list[StudyRecord]) -> None:
        for name in self._options.unknown({record.spec.name for record in records}):
            self._storage.study(name)  # says so, with the names that are near

    def _check_refused(self) -> None:
        if self._board.refused and not self.turns:
            raise NotRunnableError("there is work, and none of it can be done by this worker; see above.")

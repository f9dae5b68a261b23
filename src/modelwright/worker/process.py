"""The process of one slot: its main thread hears signals, a second one works, a third tells the ledger.

So a worker always hears when it is asked to go, also while the ledger is out of reach or a module of the
user's is being imported.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from dataclasses import replace
from types import FrameType
from typing import Any

from modelwright.errors import StorageError, StorageUnavailableError
from modelwright.execution.where import CLUSTER_AWAY
from modelwright.storage.base import Storage, WorkerInfo
from modelwright.study.worker import retire, this_worker
from modelwright.worker.leaving import Leaving
from modelwright.worker.loop import Loop
from modelwright.worker.opening import is_file, open_patiently
from modelwright.worker.options import WorkerOptions
from modelwright.worker.places import spool_folder
from modelwright.worker.speaking import Voice

__all__ = ["BEAT_S", "EXIT_UNAVAILABLE", "SlotProcess"]

BEAT_S = 4.0
"""How often a worker tells the ledger that it is alive, and hears what was asked of it."""

EXIT_UNAVAILABLE = 75  # what sysexits.h calls a temporary failure: start it again later
_LAST_WORDS_S = 10.0  # beyond the grace, before a worker that hangs leaves by force
_DRAIN = getattr(signal, "SIGUSR1", None)


class SlotProcess:
    """Works until there is nothing left to do, or until it is asked to leave.

    Parameters
    ----------
    options : WorkerOptions
        What to do.
    group : str
        The command that this slot belongs to.
    slots : int
        How many slots the command has.
    parent : int, optional
        Process that started this one; the worker leaves when it is gone.
    voice : Voice, optional
        Says what happens.
    """

    def __init__(
        self,
        options: WorkerOptions,
        *,
        group: str,
        slots: int = 1,
        parent: int | None = None,
        voice: Voice | None = None,
    ) -> None:
        self._options = options
        self._group = group
        self._slots = slots
        self._parent = parent
        self._voice = voice or Voice(quiet=options.quiet)
        self._leaving = Leaving()
        self._inbox: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._first_signal = 0
        self._urgent = False
        self._error: BaseException | None = None

    def run(self) -> int:
        """Work, and return the exit code.

        0: there is no work left, or it was asked to leave; 75: the ledger is out of reach; 130: Ctrl-C.

        Raises
        ------
        ModelwrightError
            What was given is wrong.
        """
        thread = threading.Thread(target=self._live, name="modelwright-worker", daemon=True)
        before = self._catch_signals()
        try:
            with self._voice.listening():
                thread.start()
                self._attend(time.monotonic())
                thread.join()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._is_outage():
            what = "the cluster" if self._is_cluster_away() else "the ledger"
            self._voice.note(f"{what} is out of reach: {self._error}")
            if any(spool_folder().glob("*.json")):
                self._voice.note("modelwright worker --resume-spool tells the results that were kept")
            return EXIT_UNAVAILABLE
        if self._error is not None:
            raise self._error
        return 130 if self._first_signal == signal.SIGINT and self._parent is None else 0

    def _is_outage(self) -> bool:
        """Whether the ledger or the cluster is out of reach; waiting mends no wrong path of a file."""
        error = self._error
        wrong_path = is_file(self._options.storage) and getattr(error, "code", "") == "E_DB_PATH"
        return (isinstance(error, StorageUnavailableError) and not wrong_path) or self._is_cluster_away()

    def _is_cluster_away(self) -> bool:
        return getattr(self._error, "code", "") in CLUSTER_AWAY

    # the main thread ---------------------------------------------------------------------------------

    def _catch_signals(self) -> dict[int, Any]:
        numbers = [signal.SIGTERM, signal.SIGINT, *([_DRAIN] if _DRAIN else [])]
        return {number: signal.signal(number, self._caught) for number in numbers}

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self._inbox.put(number)  # the one thing that may be done at any moment

    def _attend(self, started: float) -> None:
        """Hear signals, the clock and the parent's end until the work is over."""
        while True:
            try:
                message = self._inbox.get(timeout=0.5)
            except queue.Empty:
                self._look_around(started)
                continue
            if message is None:
                return
            self._signalled(message)

    def _signalled(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == _DRAIN:
            self._voice.note(f"{name}: leaving after this trial")
            self._leaving.ask("asked to leave")
            return
        self._first_signal = self._first_signal or number
        # A cluster may signal the slots as well as their parent, which passes it on; so a slot takes any
        # number of SIGTERM for one, and its parent says SIGINT when there is no time left.
        urgent = number == signal.SIGINT if self._parent is not None else self._leaving.hurried
        if not urgent:
            self._voice.note(f"{name}: leaving within {self._options.grace_s:g} s; once more leaves at once")
            self._leaving.ask("interrupted", within_s=self._options.trial_grace_s)
        elif self._urgent:
            os._exit(1)
        else:
            self._urgent = True
            self._leaving.ask("interrupted", within_s=0.0)

    def _look_around(self, started: float) -> None:
        now = time.monotonic()
        total_s = self._options.total_time_s
        if total_s is not None and now - started >= total_s and not self._leaving.hurried:
            self._voice.say(f"The time of {total_s:g} s for this worker is over.")
            self._leaving.ask("the worker's time is over", within_s=0.0)
        if self._parent is not None and os.getppid() != self._parent:
            self._leaving.ask("its parent is gone", within_s=self._options.trial_grace_s)
        if now > self._leaving.until_s + self._options.grace_s + _LAST_WORDS_S:
            self._voice.note("a trial could not be given back in time: its lease will run out")
            os._exit(EXIT_UNAVAILABLE)

    # the thread that works ---------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            storage = open_patiently(self._options, self._leaving, self._voice)
            if storage is not None:
                try:
                    self._work(storage)
                finally:
                    storage.close()
        except BaseException as error:  # raised again in the main thread
            self._error = error
        finally:
            self._inbox.put(None)

    def _work(self, storage: Storage) -> None:
        me = replace(this_worker(storage), group=self._group)
        storage.register_worker(me)
        loop = Loop(storage, self._options, me, self._leaving, self._voice, slots=self._slots)
        beat = _Heartbeat(storage, me, self._leaving)
        beat.start()
        try:
            loop.run()
        except StorageUnavailableError:
            raise  # and no last words: they would have to wait as long again
        except BaseException:
            _say_goodbye(beat, storage, me)
            raise
        else:
            loop.close()  # before the goodbye: nothing of the last trial is left then
            _say_goodbye(beat, storage, me)
        finally:
            loop.close()
            beat.stop()
            retire(me.id)


class _Heartbeat(threading.Thread):
    """Tells the ledger that a worker is alive, and hears what was asked of it."""

    def __init__(self, storage: Storage, me: WorkerInfo, leaving: Leaving) -> None:
        super().__init__(name="modelwright-heartbeat", daemon=True)
        self._storage = storage
        self._me = me
        self._leaving = leaving
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(BEAT_S):
            try:
                asked = self._storage.register_worker(self._me).asked
            except StorageError:
                continue  # out of reach for now
            if asked == "drain":
                self._leaving.ask("asked to leave")
            elif asked == "now":
                self._leaving.ask("asked to leave", within_s=0.0)

    def stop(self) -> None:
        """Say nothing more: a worker that registered again would be there again."""
        self._stopping.set()
        self.join(5.0)


def _say_goodbye(beat: _Heartbeat, storage: Storage, me: WorkerInfo) -> None:
    beat.stop()
    try:
        storage.retire_worker(me.id)
    except StorageError:
        pass  # it will be seen to be silent

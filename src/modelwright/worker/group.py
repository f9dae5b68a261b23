"""Several slots: a parent that starts a worker for each, and starts one anew when it dies.

The parent touches neither the ledger nor users' code, so there is little that could end it. Each slot is a
process in a session of its own; signals reach it through the parent alone.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FrameType
from typing import IO, Any

from modelwright._base.jsonform import dumps, loads
from modelwright.errors import InputError
from modelwright.worker.options import WorkerOptions
from modelwright.worker.process import EXIT_UNAVAILABLE, SlotProcess
from modelwright.worker.speaking import Voice

__all__ = ["SLOT_VARIABLE", "Group", "run_slot"]

SLOT_VARIABLE = "MODELWRIGHT_SECRET_WORKER"
"""Where a slot finds its options: not on the command line, which every user of the machine can read. Trials
do not get variables of this kind."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_STEADY_S = 60.0  # a slot that has lived so long starts anew without a longer pause
_MOST_DEATHS = 10  # in a row
_LOOK_S = 0.2
_DRAIN = getattr(signal, "SIGUSR1", None)


@dataclass(slots=True)
class _Slot:
    """One slot, and the process that it has at present."""

    index: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0
    code: int | None = None  # how it left for good


class Group:
    """Runs the slots of one command.

    Parameters
    ----------
    options : WorkerOptions
        What each does.
    name : str
        Id of the group in the ledger.
    voice : Voice
        Says what happens.
    listen : callable, optional
        Takes each line that the slots write; without one they write to where this process does.
    """

    def __init__(
        self,
        options: WorkerOptions,
        *,
        name: str,
        voice: Voice,
        listen: Callable[[str], None] | None = None,
    ) -> None:
        self._options = options
        self._name = name
        self._voice = voice
        self._listen = listen
        self._slots = [_Slot(index) for index in range(1, options.processes + 1)]
        self._inbox: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._signals: list[int] = []
        self._leaving = False
        self._started_s = time.monotonic()

    def run(self) -> int:
        """Run until all slots have left, and return the exit code of the whole."""
        numbers = [signal.SIGTERM, signal.SIGINT, *([_DRAIN] if _DRAIN else [])]
        before = {number: signal.signal(number, self._caught) for number in numbers}
        try:
            while any(slot.code is None for slot in self._slots):
                self._look()
                try:
                    self._pass_on(self._inbox.get(timeout=_LOOK_S))
                except queue.Empty:
                    continue
        finally:
            for slot in self._slots:
                if slot.process is not None and slot.process.poll() is None:
                    slot.process.terminate()
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._exit_code()

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self._inbox.put(number)

    def _pass_on(self, number: int) -> None:
        """Pass a signal on; none of the slots starts anew after it."""
        self._leaving = True
        passed = number
        if number != _DRAIN:
            self._signals.append(number)
            passed = signal.SIGTERM if len(self._signals) == 1 else signal.SIGINT
        for slot in self._slots:
            if slot.process is not None and slot.process.poll() is None:
                slot.process.send_signal(passed)

    def _look(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.code is not None:
                continue
            if slot.process is None:
                if self._leaving:
                    slot.code = 0
                elif now >= slot.start_at:
                    self._start(slot, now)
            elif (code := slot.process.poll()) is not None:
                self._ended(slot, code, now)

    def _start(self, slot: _Slot, now: float) -> None:
        total_s = self._options.total_time_s
        left_s = None if total_s is None else total_s - (now - self._started_s)
        if left_s is not None and left_s <= 0:
            slot.code = 0
            return
        form = {
            "options": replace(self._options, total_time_s=left_s).to_json(),
            "group": self._name,
            "slots": self._options.slots,
            "parent": os.getpid(),
        }
        environment = {k: v for k, v in os.environ.items() if k != "MODELWRIGHT_STORAGE"}
        piped = self._listen is not None
        slot.started_at = now
        slot.process = subprocess.Popen(
            [sys.executable, "-m", "modelwright", "worker", "--slot", str(slot.index)],
            env={**environment, SLOT_VARIABLE: dumps(form)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else None,
            stderr=subprocess.STDOUT if piped else None,
            start_new_session=True,
        )
        if self._listen is not None:
            assert slot.process.stdout is not None
            arguments = (slot.process.stdout, self._listen)
            threading.Thread(target=_read_lines, args=arguments, daemon=True).start()

    def _ended(self, slot: _Slot, code: int, now: float) -> None:
        slot.process = None
        if self._leaving or code in (0, 2, EXIT_UNAVAILABLE):
            slot.code = 0 if self._leaving and code < 0 else code
            return
        lived_s = now - slot.started_at
        slot.deaths = 1 if lived_s > _STEADY_S else slot.deaths + 1
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"left with exit code {code}"
        if slot.deaths >= _MOST_DEATHS:
            self._voice.note(f"slot {slot.index} {how} {slot.deaths} times in a row: given up")
            slot.code = 1
            return
        pause_s = min(_FIRST_PAUSE_S * 2 ** (slot.deaths - 1), _LONGEST_PAUSE_S)
        slot.start_at = now + pause_s
        self._voice.note(f"slot {slot.index} {how}: another one starts in {pause_s:g} s")

    def _exit_code(self) -> int:
        if self._signals[:1] == [signal.SIGINT]:
            return 130
        codes = {slot.code or 0 for slot in self._slots}
        for code in (EXIT_UNAVAILABLE, 1):
            if code in codes:
                return code
        return 0 if 0 in codes else max(codes)  # one slot that had something to do is enough


def _read_lines(stream: IO[bytes], listen: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            listen(line.decode("utf-8", "replace").rstrip("\r\n"))


def run_slot(index: int) -> int:
    """Be the process of one slot of a group, with the options that the parent has left."""
    text = os.environ.pop(SLOT_VARIABLE, "")
    if not text:
        raise InputError("expected --slot from a worker with several slots only.", hint="Use --slots N.")
    form: dict[str, Any] = loads(text)
    options = WorkerOptions.from_json(form["options"])
    label = f"[{index}] " if options.processes > 1 else ""
    return SlotProcess(
        options,
        group=form["group"],
        slots=form["slots"],
        parent=form["parent"],
        voice=Voice(label, quiet=options.quiet),
    ).run()

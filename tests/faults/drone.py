"""A worker of few lines, in a process of its own, that says each thing it does and suffers given faults.

It uses nothing but the contract of storages, so that a fault hits exactly one method. One line of JSON goes
out for each answer of the ledger: ``{"did": "claim", "number": 3, "fence": 1, ...}``.

``drone.py --nest FD`` is a process that has loaded everything and forks drones on request, since a test that
needs many has no time to load it for each.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import resource
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelwright._base.clock import now_us
from modelwright.errors import (
    StaleClaimError,
    StorageUnavailableError,
    StudyExistsError,
    StudyNotFoundError,
)
from modelwright.records import Outcome, Proposal, Provenance, StudySpec, TrialState
from modelwright.space import Float, Space
from modelwright.storage import Claim, Storage, open_storage
from modelwright.testing.faults import FaultyStorage, die, open_clocked, parse_fault

OVER = ("spent", "deadline", "cost", "closed", "complete")


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    say("ready", pid=os.getpid())
    if options.wait:
        sys.stdin.readline()
    storage = _open(options)
    say("opened")
    try:
        if options.create is not None:
            _create(storage, options)
        Drone(storage, options).run()
    except StudyNotFoundError:
        say("deleted")
    say("done", **_usage())
    storage.close()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("study")
    parser.add_argument("name")
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--lease", type=float, default=60.0)
    parser.add_argument("--work", type=float, default=0.0, help="seconds per trial")
    parser.add_argument("--slow-ask", type=float, default=0.0, help="seconds per proposal")
    parser.add_argument("--stay", action="store_true", help="stay until the study is complete")
    parser.add_argument("--most", type=int, default=10**9, help="leave after so many trials")
    parser.add_argument("--create", type=int, help="make the study, of so many trials, if it is not there")
    parser.add_argument("--patience", type=float, help="timeout_s of the storage")
    parser.add_argument("--die-at", type=int, help="die at so many statements, while the ledger is opened")
    parser.add_argument("--upgrade", action="store_true", help="bring an older ledger up to date")
    parser.add_argument("--skew", type=float, help="seconds by which this machine's clock is wrong")
    parser.add_argument("--jumping", action="store_true", help="it is wrong by as much at some looks only")
    parser.add_argument("--offset", type=float, help="seconds by which the ledger's clock is wrong")
    parser.add_argument("--poison", type=int, help="number of the trial that kills who runs it")
    parser.add_argument("--wait", action="store_true", help="begin at a line of input")
    parser.add_argument("--timed", action="store_true", help="say what a trial cost this process")
    return parser.parse_args(arguments)


def _open(options: argparse.Namespace) -> Storage:
    more: dict[str, Any] = {} if options.patience is None else {"timeout_s": options.patience}
    if not options.url.startswith("sqlite"):
        more["wait_s"] = 60.0  # it may begin in the middle of an outage
    if options.upgrade:
        more["upgrade"] = True
    if options.die_at is not None:
        _die_at(options.die_at)
    if options.skew is None and options.offset is None:
        storage = open_storage(options.url, **more)
    elif options.offset is not None:
        storage = open_clocked(options.url, lambda: now_us() + int(options.offset * 1e6), **more)
    else:
        real = time.time_ns
        if options.url.startswith("sqlite"):  # there, the ledger's clock is a machine's clock: of another one
            storage = open_clocked(options.url, lambda: real() // 1000, **more)
        else:
            storage = open_storage(options.url, **more)
        wrong = (0, int(options.skew * 1e9)) if options.jumping else (int(options.skew * 1e9),)
        time.time_ns = lambda: real() + random.choice(wrong)
        time.time = lambda: time.time_ns() / 1e9
    faults = [parse_fault(text) for text in options.fault]
    return FaultyStorage(storage, faults) if faults else storage  # type: ignore[return-value]


def _die_at(count: int) -> None:
    """Die when so many statements have been sent, commits included."""
    from sqlalchemy import Engine, event

    left = iter(range(count - 1))

    def step(*_: Any) -> None:
        if next(left, None) is None:
            die()

    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", step)


def _create(storage: Storage, options: argparse.Namespace) -> None:
    try:
        storage.create_study(StudySpec(options.study, Space(x=Float(0, 1))))
    except StudyExistsError:
        pass  # another drone was first
    storage.set_budget(storage.study(options.study).id, options.create)


class Drone:
    def __init__(self, storage: Storage, options: argparse.Namespace) -> None:
        self.storage = storage
        self.options = options
        self.study_id = storage.study(options.study).id
        self.rng = random.Random(options.name)
        self.count = 0

    def run(self) -> None:
        trials = 0
        while trials < self.options.most:
            try:
                claim = self._claim()
                if claim is None:
                    return
                self._work(claim)
                trials += 1
            except StaleClaimError:
                say("refused")
            except StorageUnavailableError as error:
                say("unavailable", code=error.code)

    def _claim(self) -> Claim | None:
        """Return a trial, and None when there will be none any more."""
        self.count += 1
        # The same name for each try, as after a lost answer.
        name = f"{self.options.name}-{os.getpid()}-{self.count}"
        while True:
            self.began_s, self.began_cpu_s = time.perf_counter(), time.process_time()
            answer = self.storage.claim(self.study_id, self.options.name, name, self.options.lease)
            if isinstance(answer, Claim):
                said = {"number": answer.number, "fence": answer.fence, "attempt": answer.attempts}
                say("claim", **said, params=answer.params)
                return answer
            if answer.reason in (("complete",) if self.options.stay else OVER):
                say("over", reason=answer.reason)
                return None
            time.sleep(0.03)

    def _work(self, claim: Claim) -> None:
        if claim.params is None:
            if self.options.slow_ask:
                time.sleep(self.options.slow_ask)
            params = {"x": self.rng.random()}
            self.storage.propose(claim, Proposal(params), Provenance("drone"), 0)
            say("propose", number=claim.number, params=params)
        if claim.number == self.options.poison:
            die()
        began = time.monotonic()
        time.sleep(self.options.work)
        outcome = Outcome(TrialState.COMPLETE, (0.5,), duration_s=time.monotonic() - began)
        answer = self.storage.finish(claim, outcome, claim.claim_id)
        timed = self._timed() if self.options.timed else {}
        if self.options.timed and self.count % 200 == 0:
            timed |= _usage()
        say("finish", number=claim.number, fence=claim.fence, answer=answer.value, **timed)

    def _timed(self) -> dict[str, float]:
        """Return what the present trial has cost, from its claim to the end of its finish."""
        return {
            "s": time.perf_counter() - self.began_s,
            "cpu_s": time.process_time() - self.began_cpu_s,
        }


def _usage() -> dict[str, Any]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "rss_mb": pages * resource.getpagesize() / 1e6,
        "files": len(list(Path("/proc/self/fd").iterdir())),
    }


def say(did: str, **what: Any) -> None:
    print(json.dumps({"did": did, **what}), flush=True)


# the nest -----------------------------------------------------------------------------------------------


_MODULES = ("modelwright.storage.sql.store", "sqlalchemy.dialects.sqlite", "alembic.command")
_DRIVERS = ("psycopg", "pymysql", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.mysql")


def nest(requests: socket.socket) -> None:
    """Fork a drone for each request that comes with its standard files, and tell how others ended."""
    for module in (*_MODULES, *_DRIVERS):
        try:
            importlib.import_module(module)
        except ImportError:
            pass  # tests that need it are skipped
    while True:
        data, files, _, _ = socket.recv_fds(requests, 65536, 3)
        if not data:
            return
        request = json.loads(data)
        if "run" in request:
            answer: Any = os.fork()
            if answer == 0:
                requests.close()
                _be_drone(request["run"], files)
            for file in files:
                os.close(file)
        else:
            pid, status = os.waitpid(request["end"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        requests.send(json.dumps(answer).encode())


def _be_drone(arguments: Sequence[str], files: Sequence[int]) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    random.seed()
    try:
        main(arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "--nest":
        nest(socket.socket(fileno=int(sys.argv[2])))
    else:
        main(sys.argv[1:])

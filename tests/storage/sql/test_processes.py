"""Many processes on one SQLite file: creation, budgets, kills, forks, and power that fails."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from modelwright.records import Proposal, Provenance, TrialState
from modelwright.storage import Claim, Event, SQLStorage, open_existing
from modelwright.testing.storage import complete, make_spec

_WORKER = """
import random, sys, time
from modelwright.errors import StudyExistsError
from modelwright.records import Outcome, Proposal, Provenance, StudySpec, TrialState
from modelwright.space import Float, Space
from modelwright.storage import NoClaim, SQLStorage, sql
path, name, budget = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
storage = SQLStorage(path, durability="process")
try:
    storage.create_study(StudySpec("study", Space(x=Float(0, 1))))
except StudyExistsError:
    pass
study = storage.set_budget(storage.study("study").id, budget, parallel=5)
rng = random.Random(name)
count = 0
while True:
    claim = storage.claim(study.id, name, f"{name}-{count}", 600)
    count += 1
    if isinstance(claim, NoClaim) and claim.reason == "busy":
        time.sleep(0.002)
        continue
    if isinstance(claim, NoClaim):
        break
    while claim.params is None:
        proposal = Proposal({"x": float(rng.randrange(budget + 10))})  # others draw from the same few
        if storage.propose(claim, proposal, Provenance(), 0, unique=True) is None:
            break
    answer = storage.finish(claim, Outcome(TrialState.COMPLETE, (0.5,)), claim.claim_id)
    print(claim.number, answer, flush=True)
print("done", claim.reason, flush=True)
storage.close()
"""

_FORKED = """
import os, sys
from modelwright.records import StudySpec
from modelwright.space import Float, Space
from modelwright.storage import SQLStorage
storage = SQLStorage(sys.argv[1])
study = storage.create_study(StudySpec("study", Space(x=Float(0, 1))))
children = []
for i in range(3):
    pid = os.fork()
    if pid == 0:
        for k in range(10):
            storage.claim(study.id, f"child-{i}", f"{i}-{k}", 60)
        os._exit(0)
    children.append(pid)
for k in range(10):
    storage.claim(study.id, "parent", f"p-{k}", 60)
print([os.waitpid(pid, 0)[1] for pid in children])
print(storage.study("study").issued, len({trial.number for trial in storage.trials(study.id)}))
storage.close()
"""


@contextmanager
def started(path: Path, names: list[str], budget: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start workers that have imported everything and wait for a line to begin."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(path), name, str(budget)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_processes_create_one_ledger_and_share_its_budget(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with started(path, [f"w{i}" for i in range(8)], budget=120) as workers:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        answers = [worker.communicate(timeout=120) for worker in workers]
    assert [err for _, err in answers if err] == []
    lines = [line.split() for out, _ in answers for line in out.splitlines()]
    numbers = [int(words[0]) for words in lines if words[0] != "done"]
    assert sorted(numbers) == list(range(120))
    assert {words[1] for words in lines if words[0] != "done"} == {"accepted"}
    storage = open_existing(path)
    study = storage.study("study")
    trials = storage.trials(study.id)
    assert [(trial.number, trial.state, trial.fence) for trial in trials] == [
        (i, TrialState.COMPLETE, 1) for i in range(120)
    ]
    assert len({trial.params["x"] for trial in trials if trial.params}) == 120
    assert 2 <= _most_at_a_time(storage.events(study.id, limit=10_000)) <= 5
    storage.close()


def _most_at_a_time(events: list[Event]) -> int:
    """Return how many trials ran at the same time, at most."""
    running = most = 0
    for event in events:
        running += {"claim": 1, "finish": -1}.get(event.kind, 0)
        most = max(most, running)
    return most


def test_killed_workers_lose_no_trial_and_count_none_twice(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    storage = SQLStorage(path)
    study = storage.create_study(make_spec())
    storage.set_budget(study.id, 80)
    rng = random.Random(7)
    acknowledged: set[int] = set()
    with started(path, [f"w{i}" for i in range(4)], budget=80) as workers:
        for i, worker in enumerate(workers):
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            for _ in range(rng.randrange(1, 15)):
                acknowledged.add(int(worker.stdout.readline().split()[0]))
            worker.kill()
            out, _ = worker.communicate()
            acknowledged |= {int(line.split()[0]) for line in out.splitlines() if line.endswith("accepted")}
            assert len(storage.forfeit(f"w{i}", "killed")) <= 1
    done = {trial.number for trial in storage.trials(study.id, [TrialState.COMPLETE])}
    assert acknowledged <= done
    while isinstance(claim := storage.claim(study.id, "last", f"last-{len(done)}", 60), Claim):
        assert claim.number not in done
        done.add(claim.number)
        storage.finish(claim, complete(), claim.claim_id)
    assert done == set(range(80))
    trials = storage.trials(study.id)
    assert all(trial.state is TrialState.COMPLETE for trial in trials)
    assert sum(trial.attempts - 1 for trial in trials) <= 4
    storage.close()


def test_a_fork_gives_each_process_its_own_connection(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKED, str(tmp_path / "ledger.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["[0, 0, 0]", "40 40"], done.stderr


def _history(path: Path) -> tuple[int, int]:
    """Check that a ledger is consistent in itself; return its revision and its finished trials."""
    with closing(sqlite3.connect(path)) as connection:
        if connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,):
            return -1, -1  # cut before the tables were complete
    storage = open_existing(path)
    if not storage.studies():
        storage.close()
        return 0, 0
    study = storage.study("study")
    trials = storage.trials(study.id)
    events = storage.events(study.id, limit=10_000)
    storage.close()
    assert [trial.number for trial in trials] == list(range(study.issued))
    assert [event.revision for event in events] == list(range(1, study.revision + 1))
    finished = [event.number for event in events if event.kind == "finish"]
    assert finished == [trial.number for trial in trials if trial.state is TrialState.COMPLETE]
    assert max((trial.revision for trial in trials), default=0) <= study.revision
    return study.revision, len(finished)


@pytest.mark.parametrize("damage", ["cut", "torn"])
def test_power_that_fails_leaves_a_consistent_prefix(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "ledger.db"
    storage = SQLStorage(path)
    study = storage.create_study(make_spec())
    for i in range(8):
        claim = storage.claim(study.id, "w", f"c{i}", 60)
        assert isinstance(claim, Claim)
        storage.propose(claim, Proposal({"x": i / 8}), Provenance(), 0)
        storage.finish(claim, complete(float(i)), claim.claim_id)
    log = path.with_name("ledger.db-wal").read_bytes()
    rng = random.Random(3)
    offsets = sorted({0, 1, len(log), *(rng.randrange(len(log)) for _ in range(37))})
    revisions = []
    for offset in offsets:
        copy = tmp_path / f"copy-{offset}" / "ledger.db"
        copy.parent.mkdir()
        shutil.copy(path, copy)
        tail = b"" if damage == "cut" else bytes(byte ^ 0x5A for byte in log[offset : offset + 600])
        copy.with_name("ledger.db-wal").write_bytes(log[:offset] + tail)
        revisions.append(_history(copy))
    storage.close()
    assert revisions == sorted(revisions)
    assert revisions[0] == (-1, -1)
    assert revisions[-1] == (1 + 3 * 8, 8)
    assert len(set(revisions)) > 8

"""The ledger over HTTP: clients on loopback, one server, a SQLite file behind it.

    python benchmarks/http_storage.py [--processes 8] [--trials 1600]

Each process claims, proposes (a configuration that costs nothing to find) and finishes until the budget of
the study is used up, through `HTTPStorage`. Prints the rate, the times of a claim and of a whole trial, and
the goals.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modelwright.records import StudySpec
from modelwright.space import Float, Space
from modelwright.storage import open_storage
from modelwright.storage.http import HTTPStorage

CLIENT = """
import json, os, sys, time, uuid
from modelwright.records import Outcome, Proposal, Provenance, TrialState
from modelwright.storage import Claim
from modelwright.storage.http import HTTPStorage
storage = HTTPStorage(sys.argv[1], os.environ["MODELWRIGHT_TOKEN"])
study = storage.study("bench")
outcome = Outcome(TrialState.COMPLETE, (0.5,))
params = {f"x{i}": 0.1 * i for i in range(10)}
print("ready", flush=True); sys.stdin.readline()
claims, trials = [], []
while True:
    begun = time.perf_counter()
    claim = storage.claim(study.id, f"w{os.getpid()}", uuid.uuid4().hex, 60.0)
    claims.append(time.perf_counter() - begun)
    if not isinstance(claim, Claim):
        break
    storage.propose(claim, Proposal(params), Provenance("bench"), 0)
    storage.finish(claim, outcome, claim.claim_id)
    trials.append(time.perf_counter() - begun)
print(json.dumps([claims, trials, time.time()]))
storage.close()
"""


def started_server(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start `modelwright serve` in `folder`, and return its process and its address."""
    command = [sys.executable, "-m", "modelwright", "serve", "--storage", "sqlite:///hub.db", "--port", "0"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, server.stdout.readline().split()[-1]


def measured(url: str, token: str, processes: int) -> tuple[float, list[float], list[float]]:
    """Return the seconds that all clients together took, and the times of their claims and trials."""
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENT, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MODELWRIGHT_TOKEN": token},
        )
        for _ in range(processes)
    ]
    for client in clients:
        assert client.stdout is not None
        assert client.stdout.readline().strip() == "ready"
    begun = time.time()
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("\n")
        client.stdin.flush()
    outputs = [json.loads(client.communicate()[0]) for client in clients]
    taken_s = max(output[2] for output in outputs) - begun  # less the end of the processes
    claims = [value for output in outputs for value in output[0]]
    trials = [value for output in outputs for value in output[1]]
    return taken_s, claims, trials


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--trials", type=int, default=1600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server, url = started_server(folder)
        try:
            token = (folder / "hub.token").read_text().strip()
            storage = HTTPStorage(url, token)
            study = storage.create_study(_spec())
            storage.set_budget(study.id, options.trials)
            taken_s, claims, trials = measured(url, token, options.processes)
            storage.close()
        finally:
            server.terminate()
            server.wait()
        counted = _results(folder)
    assert counted == options.trials, f"{counted} results of {options.trials} trials"
    claims_ms = sorted(1000 * value for value in claims)
    p99 = claims_ms[int(0.99 * len(claims_ms))]
    print(f"{options.processes} clients, {options.trials} trials, {counted} results")
    print(f"rate            {options.trials / taken_s:8.0f} trials/s   goal at least 150")
    print(f"claim, median   {statistics.median(claims_ms):8.1f} ms")
    print(f"claim, p99      {p99:8.1f} ms         goal under 100")
    print(f"trial, median   {1000 * statistics.median(trials):8.1f} ms")


def _spec() -> StudySpec:
    return StudySpec("bench", Space({f"x{i}": Float(0, 1) for i in range(10)}))


def _results(folder: Path) -> int:
    storage = open_storage(folder / "hub.db")
    try:
        return sum(trial.state.finished for trial in storage.trials(storage.study("bench").id))
    finally:
        storage.close()


if __name__ == "__main__":
    main()

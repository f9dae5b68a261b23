"""A long study by many workers: what a trial costs the ledger from the first to the last.

    python benchmarks/soak.py [--storages sqlite,postgresql,mysql] [--processes 8] [--trials 10000]

Each process claims, proposes (a configuration that costs nothing to find) and finishes until the budget of
the study is used up. Prints for each storage the 95th percentile of claim + finish (goal: under 100 ms), the
medians over the first and the last tenth of the study, and the rate.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from support.places import SERVERS, available, database

WORKER = """
import json, os, sys, time, uuid
from modelwright.records import Outcome, Proposal, Provenance, TrialState
from modelwright.storage import Claim, open_existing
storage = open_existing(sys.argv[1])
study = storage.study("soak")
outcome = Outcome(TrialState.COMPLETE, (0.5,))
params = {f"x{i}": 0.1 * i for i in range(10)}
print("ready", flush=True); sys.stdin.readline()
found = []
while True:
    begun = time.perf_counter()
    claim = storage.claim(study.id, f"w{os.getpid()}", uuid.uuid4().hex, 60.0)
    claimed_s = time.perf_counter() - begun
    if not isinstance(claim, Claim):
        break
    storage.propose(claim, Proposal(params), Provenance("soak"), 0)
    begun = time.perf_counter()
    storage.finish(claim, outcome, claim.claim_id)
    found.append([claim.number, claimed_s + time.perf_counter() - begun])
print(json.dumps(found))
storage.close()
"""


def run(url: str, processes: int) -> tuple[float, list[float]]:
    """Return the seconds that all workers together took, and those of each trial's claim and finish."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
    begun = time.perf_counter()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    found = [pair for process in started for pair in json.loads(process.communicate()[0])]
    return time.perf_counter() - begun, [seconds for _, seconds in sorted(found)]


def measure(kind: str, processes: int, trials: int) -> tuple[float, list[float]]:
    """Run one storage, and look at what its ledger holds."""
    from modelwright import Float, Space
    from modelwright.records import StudySpec
    from modelwright.storage import open_storage
    from modelwright.testing.audit import audit

    with database(kind) as (url, _):
        storage = open_storage(url)
        study = storage.create_study(StudySpec("soak", Space({f"x{i}": Float(0, 1) for i in range(10)})))
        storage.set_budget(study.id, trials)
        taken_s, costs_s = run(url, processes)
        audit(storage, study.id)
        storage.close()
    if len(costs_s) != trials:
        raise SystemExit(f"{kind}: {len(costs_s)} results instead of {trials}")
    return taken_s, costs_s


def median_ms(seconds: Sequence[float]) -> float:
    """Return the median in milliseconds."""
    return 1000 * statistics.median(seconds)


def main() -> None:
    """Measure each storage and print one line for it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--storages", default="sqlite,postgresql,mysql")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--trials", type=int, default=10_000)
    options = parser.parse_args()
    print(
        f"{'claim + finish, ms':<20} {'p95':>8} {'first':>8} {'last':>8} {'trials/s':>9}   goal p95 under 100"
    )
    for kind in options.storages.split(","):
        if not available(kind):
            print(f"{kind:<20} skipped: set {SERVERS[kind]} to the server's address")
            continue
        taken_s, costs_s = measure(kind, options.processes, options.trials)
        tenth = max(1, options.trials // 10)
        print(
            f"{kind:<20} {1000 * statistics.quantiles(costs_s, n=20)[-1]:>8.1f} "
            f"{median_ms(costs_s[:tenth]):>8.1f} {median_ms(costs_s[-tenth:]):>8.1f} "
            f"{options.trials / taken_s:>9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

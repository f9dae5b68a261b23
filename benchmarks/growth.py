"""Whether a trial costs the ledger the same in a long study as in a short one.

    python benchmarks/growth.py [--storages memory,sqlite,postgresql,mysql] [--short 100] [--long 100000]
                                [--trials 300]

Prints for each storage: claim + propose + finish of one trial in the short and in the long study (medians of
single trials, in turns), their ratio (at most 1.25), the time to load the long study (under 5 s), the time of
`best_value` once it is loaded, and the memory of the process that loaded it (under 300 MB). The long study is
filled by `adopt`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from support.places import SERVERS, available, database

LOAD = """
import sys, time
import psutil
from modelwright import Study
begun = time.perf_counter()
study = Study.load("long", storage=sys.argv[1])
best = study.best_value
loaded_s = time.perf_counter() - begun
begun = time.perf_counter()
study.best_value
again_s = time.perf_counter() - begun
print(loaded_s, again_s, psutil.Process().memory_info().rss / 1e6)
"""


@contextmanager
def address(kind: str) -> Iterator[str]:
    """Give the address of an empty storage."""
    if kind == "memory":
        yield "memory://"
        return
    with database(kind) as (url, _):
        yield url


def fill(storage: object, study_id: int, count: int) -> None:
    """Add finished trials of ten floats to a study."""
    import numpy as np

    from modelwright.records import Trial, TrialState
    from modelwright.storage.base import AdoptedTrial

    rng = np.random.default_rng(0)
    for start in range(0, count, 500):
        rows = rng.random((min(500, count - start), 10)).tolist()
        batch = [
            AdoptedTrial(
                Trial(
                    0, TrialState.COMPLETE, {f"x{i}": x for i, x in enumerate(row)}, (row[0],), duration_s=0.1
                )
            )
            for row in rows
        ]
        storage.adopt(study_id, batch)  # type: ignore[attr-defined]


def one_trial_s(storage: object, study_id: int) -> float:
    """Return the seconds of one claim, proposal and result."""
    from modelwright.records import Outcome, Proposal, Provenance, TrialState

    params = {f"x{i}": 0.5 for i in range(10)}
    name = uuid.uuid4().hex
    begun = time.perf_counter()
    claim = storage.claim(study_id, "bench", name, 60.0)  # type: ignore[attr-defined]
    storage.propose(claim, Proposal(params), Provenance("random"), 0)  # type: ignore[attr-defined]
    storage.finish(claim, Outcome(TrialState.COMPLETE, (0.5,), duration_s=0.1), name)  # type: ignore[attr-defined]
    return time.perf_counter() - begun


def measure(kind: str, short: int, long: int, trials: int) -> tuple[float, float, str]:
    """Return the seconds of a trial in the short and the long study, and what loading the long one took."""
    from modelwright import Float, Space, Study

    with address(kind) as url:
        space = Space({f"x{i}": Float(0, 1) for i in range(10)})
        small = Study(space, storage=url, name="short", optimizer="random", seed=1)
        storage = small.storage
        large = Study(space, storage=storage, name="long", optimizer="random", seed=1)
        fill(storage, small.record.id, short)
        fill(storage, large.record.id, long)
        pairs = [
            (one_trial_s(storage, small.record.id), one_trial_s(storage, large.record.id))
            for _ in range(trials)
        ]
        loaded = ""
        if kind != "memory":
            command = [sys.executable, "-W", "ignore", "-c", LOAD, url]
            loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]
        storage.close()
    return (*(statistics.median(column) for column in zip(*pairs, strict=True)), loaded)  # type: ignore[return-value]


def main() -> None:
    """Measure each storage and print one line for it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--storages", default="memory,sqlite,postgresql,mysql")
    parser.add_argument("--short", type=int, default=100)
    parser.add_argument("--long", type=int, default=100_000)
    parser.add_argument("--trials", type=int, default=300)
    options = parser.parse_args()
    print(
        f"{'storage':<12} {'short, ms':>10} {'long, ms':>10} {'ratio':>7} "
        f"{'load, s':>9} {'best, ms':>9} {'MB':>7}   goals: ratio 1.25, load 5 s, 300 MB"
    )
    for kind in options.storages.split(","):
        if kind != "memory" and not available(kind):
            print(f"{kind:<12} skipped: set {SERVERS[kind]} to the server's address")
            continue
        short_s, long_s, loaded = measure(kind, options.short, options.long, options.trials)
        load_s, again_s, memory_mb = map(float, loaded.split()) if loaded else (float("nan"),) * 3
        print(
            f"{kind:<12} {1e3 * short_s:>10.3f} {1e3 * long_s:>10.3f} {long_s / short_s:>7.2f} "
            f"{load_s:>9.2f} {1e3 * again_s:>9.3f} {memory_mb:>7.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

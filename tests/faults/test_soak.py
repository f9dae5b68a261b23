"""A long run: what a trial costs, and what a worker holds, does not grow."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from modelwright.records import TrialState


def soak(ledger: Any, *, trials: int, drones: int) -> None:
    ledger.create(trials=trials)
    workers = ledger.drones(drones, "--timed")
    assert [worker.end(1500) for worker in workers] == [0] * drones, [worker.error for worker in workers]
    assert ledger.results(workers) == list(range(trials))
    said = sorted((entry for worker in workers for entry in worker.all("finish")), key=lambda e: e["number"])
    print(f"p95 of a trial: {1000 * statistics.quantiles([e['s'] for e in said], n=20)[-1]:.1f} ms")
    # What the processes worked for, whatever else the machine does; `benchmarks/soak.py` has the times.
    fifth = trials // 5
    first, last = (statistics.median(e["cpu_s"] for e in part) for part in (said[:fifth], said[-fifth:]))
    print(f"processor time of a trial: first fifth {1000 * first:.1f} ms, last fifth {1000 * last:.1f} ms")
    assert last < 1.5 * first
    usages = [[e for e in worker.said if "rss_mb" in e] for worker in workers]
    usages = [usage for usage in usages if len(usage) >= 3]  # others had little to do
    assert len(usages) >= drones / 2
    for usage in usages:
        print(f"memory {usage[0]['rss_mb']:.0f} -> {usage[-1]['rss_mb']:.0f} MB, files {usage[0]['files']}")
        assert usage[-1]["rss_mb"] < 1.2 * usage[0]["rss_mb"]
        assert usage[-1]["files"] == usage[0]["files"]
    assert {trial.state for trial in ledger.storage.trials(ledger.id)} == {TrialState.COMPLETE}
    ledger.audit()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_f50_10000_trials_by_8_workers(ledger: Any) -> None:
    soak(ledger, trials=10_000, drones=8)

"""Many processes on one study, beside Optuna at the same durability in the same run.

    python benchmarks/workers.py [--storages sqlite,postgresql,mysql] [--processes 8] [--trials 1600]
                                 [--peer-trials 320] [--repeats 3] [--restart]

Each process runs no-op trials of ten floats, proposed at random, until the study's budget is used up (the
peer: its share of it). The rate counts from the moment at which the last process is ready. A server is used
where its environment variable (see benchmarks/support/places.py) names it. Medians over the repeats.

With `--restart` each server is one of the benchmark's own, which is stopped when half of our results are
there, and started again three seconds later. No worker may end, and the results have to be exact. Our rate
counts the outage; the peer, whose workers would end, runs without one.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from support.places import SERVERS, available, database
from support.servers import MissingServerError, private_server, restart

if TYPE_CHECKING:
    from private_servers import PrivateServer

OURS = """
import sys, time
from modelwright import Study
study = Study.load("bench", storage=sys.argv[1])
print("ready", flush=True); sys.stdin.readline()
study.run(lambda trial: 0.0, trials=int(sys.argv[2]), executor="inline")
study.close()
"""

THEIRS = """
import sys, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name="bench", storage=sys.argv[1], sampler=optuna.samplers.RandomSampler())
def f(trial):
    for i in range(10): trial.suggest_float(f"x{i}", 0, 1)
    return 0.0
print("ready", flush=True); sys.stdin.readline()
study.optimize(f, n_trials=int(sys.argv[2]))
"""


def together(
    code: str, processes: int, *arguments: str, meanwhile: Callable[[], None] = lambda: None
) -> float:
    """Run `code` in so many processes at the same moment; return the seconds until the last ended."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
    meanwhile()
    for process in started:
        process.communicate()
    taken_s = time.perf_counter() - begun
    failed = [process.returncode for process in started if process.returncode]
    if failed:
        raise SystemExit(f"{len(failed)} of {processes} processes failed: {failed}")
    return taken_s


def our_rate(kind: str, processes: int, trials: int, server: PrivateServer | None = None) -> float:
    """Return our trials per second, after a look at what the ledger holds; restart `server` meanwhile."""
    from modelwright import Float, Space, Study
    from modelwright.testing.audit import audit

    def restart_in_the_middle() -> None:
        if server is not None:
            while study.counts.get("complete", 0) < trials / 2:
                time.sleep(0.1)
            restart(server)

    with database(kind, server.url if server else "") as (url, _):
        space = Space({f"x{i}": Float(0, 1) for i in range(10)})
        study = Study(space, storage=url, name="bench", optimizer="random", seed=1)
        taken_s = together(OURS, processes, url, str(trials), meanwhile=restart_in_the_middle)
        complete = [trial for trial in study.trials if trial.state.value == "complete"]
        if len(complete) != trials:
            raise SystemExit(f"{kind}: {len(complete)} results instead of {trials}")
        audit(study.storage, study.record.id)
        study.close()
    return trials / taken_s


def peer_rate(kind: str, processes: int, trials: int, server: PrivateServer | None = None) -> float:
    """Return Optuna's trials per second."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with database(kind, server.url if server else "") as (_, url):
        optuna.create_study(study_name="bench", storage=url)
        return trials / together(THEIRS, processes, url, str(trials // processes))


def median(repeats: int, measure: Callable[[], float]) -> float:
    """Return the median of several measurements."""
    return statistics.median(measure() for _ in range(repeats))


def measure(kind: str, options: argparse.Namespace) -> None:
    """Measure one storage and print its line."""
    with private_server(kind) if options.restart else nullcontext() as server:
        ours = median(options.repeats, lambda: our_rate(kind, options.processes, options.trials, server))
        peer = median(
            options.repeats, lambda: peer_rate(kind, options.processes, options.peer_trials, server)
        )
    print(f"{kind:<36} {ours:>8.1f} {peer:>8.1f} {ours / peer:>7.2f}   ratio at least 5", flush=True)


def main() -> None:
    """Measure each storage and print one line for it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--storages", default="sqlite,postgresql,mysql")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--trials", type=int, default=1600)
    parser.add_argument("--peer-trials", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--restart", action="store_true")
    options = parser.parse_args()
    what = f"trials per s, {options.processes} processes{', 1 restart' if options.restart else ''}"
    print(f"{what:<36} {'ours':>8} {'optuna':>8} {'ratio':>7}   goal")
    for kind in options.storages.split(","):
        if options.restart and kind == "sqlite":
            continue  # it has no server
        if not options.restart and not available(kind):
            print(f"{kind:<36} skipped: set {SERVERS[kind]} to the server's address")
            continue
        try:
            measure(kind, options)
        except MissingServerError as error:
            print(f"{kind:<36} skipped: it {error}")


if __name__ == "__main__":
    main()

"""Workers that are killed at random while they share one study: is each result counted once?

    python benchmarks/kills.py [--storages sqlite,postgresql,mysql] [--processes 8] [--trials 2000]
                               [--every 1.0] [--restart] [--seed 0]

Keeps `--processes` processes running no-op trials; every `--every` seconds one of them, drawn at random, is
killed with SIGKILL and another is started. With `--restart` each server is one of the benchmark's own, which
is stopped when half of the results are there, and started again three seconds later.

At the end the ledger has to hold exactly the budget's results, each result that a worker was told to be
accepted among them, and has to pass the audit; and no worker has ended by itself. The large run of the
project's goals is ``--processes 64 --trials 20000``.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from support.places import SERVERS, available, database
from support.servers import MissingServerError, private_server, restart

if TYPE_CHECKING:
    from private_servers import PrivateServer

    from modelwright import Study

WORKER = """
import json, random, sys
from modelwright import Study
from modelwright.storage import open_existing
def say(study, trial):
    print(json.dumps([trial.number, trial.value]), flush=True)
url = sys.argv[1]
patience = {} if url.startswith("sqlite") else {"wait_s": 60}  # it may be started while the server is away
study = Study.load("kills", storage=open_existing(url, **patience))
study.run(lambda trial: random.random(), trials=int(sys.argv[2]), executor="inline", callbacks=[say])
study.storage.close()
"""


class Crew:
    """Worker processes, as many as there should be, and what they said.

    Parameters
    ----------
    url : str
        Of the storage.
    trials : int
        The budget.
    folder : Path
        For what they say.
    """

    def __init__(self, url: str, trials: int, folder: Path) -> None:
        self._command = [sys.executable, "-W", "ignore", "-c", WORKER, url, str(trials)]
        self._folder = folder
        self._started = 0
        self._running: list[subprocess.Popen[str]] = []
        self.kills = 0
        self.failures = 0
        self.largest_mb = 0.0

    def fill(self, count: int) -> None:
        """Start workers until there are so many."""
        self._collect()
        while len(self._running) < count:
            self._started += 1
            with self._file("out").open("w") as out, self._file("err").open("w") as err:
                self._running.append(subprocess.Popen(self._command, stdout=out, stderr=err, text=True))

    def kill_one(self, rng: random.Random) -> None:
        """Kill one of them."""
        victim = self._running.pop(rng.randrange(len(self._running)))
        victim.kill()
        victim.wait()
        self.kills += 1

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    def wait(self) -> None:
        """Wait until all have left."""
        for process in self._running:
            process.wait(timeout=300)
        self._collect()

    def weigh(self) -> None:
        """Note how much memory the largest holds."""
        import psutil

        for process in self._running:
            try:
                held_mb = psutil.Process(process.pid).memory_info().rss / 1e6
            except psutil.NoSuchProcess:
                continue
            self.largest_mb = max(self.largest_mb, held_mb)

    def told(self) -> Iterator[tuple[int, float]]:
        """Give the number and the value of each result that was accepted, as its worker heard."""
        for path in sorted(self._folder.glob("*.out")):
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("]\n"):  # what a killed process has half written was not said
                    number, value = json.loads(line)
                    yield number, value

    def _file(self, kind: str) -> Path:
        return self._folder / f"{self._started}.{kind}"

    def _collect(self) -> None:
        """Forget those that have left, and count those that should not have."""
        for process in self._running:
            if process.poll():
                self.failures += 1
                print(f"a worker ended with {process.returncode}", file=sys.stderr)
        if self.failures:
            self._show_errors()
        self._running = [process for process in self._running if process.poll() is None]

    def _show_errors(self) -> None:
        for path in self._folder.glob("*.err"):
            if "Traceback" in (text := path.read_text()):
                print(text[-2000:], file=sys.stderr)
                path.unlink()


def run_and_kill(study: Study, crew: Crew, options: argparse.Namespace, server: PrivateServer | None) -> None:
    """Let a crew do the study while its workers are killed."""
    rng = random.Random(options.seed)
    while (done := study.counts.get("complete", 0)) < options.trials:
        if server is not None and done >= options.trials / 2:
            restart(server)
            server = None
        crew.fill(options.processes)
        time.sleep(options.every)
        crew.weigh()
        crew.kill_one(rng)
    crew.wait()
    if server is not None:
        raise SystemExit("the study was done before the server could be restarted: give it more --trials")


def wrongs(study: Study, crew: Crew, trials: int) -> list[str]:
    """Return what is wrong with the ledger, and with what the workers were told."""
    from modelwright.testing.audit import audit

    found = []
    held = {trial.number: trial.value for trial in study.trials if trial.state.value == "complete"}
    if sorted(held) != list(range(trials)):
        found.append(f"{len(held)} results instead of {trials}")
    told = list(crew.told())
    if len({number for number, _ in told}) < len(told):
        found.append("two workers were told that they had the result of the same trial")
    if lost := [number for number, value in told if held.get(number) != value]:
        found.append(f"{len(lost)} accepted results are not in the ledger, such as that of trial {lost[0]}")
    if crew.failures:
        found.append(f"{crew.failures} workers ended by themselves")
    try:
        audit(study.storage, study.record.id)
    except AssertionError as error:
        found.append(str(error))
    return found


@contextmanager
def place(kind: str, *, restarts: bool) -> Iterator[tuple[str, PrivateServer | None]]:
    """Give the address of an empty database, and its server if that may be restarted."""
    if restarts and kind != "sqlite":
        with private_server(kind) as server, database(kind, server.url) as (url, _):
            yield url, server
    else:
        with database(kind) as (url, _):
            yield url, None


def measure(kind: str, options: argparse.Namespace) -> bool:
    """Run one storage, print what came of it, and return whether all is well."""
    from modelwright import Float, Space, Study

    with place(kind, restarts=options.restart) as (url, server), tempfile.TemporaryDirectory() as folder:
        spec = {"optimizer": "random", "seed": options.seed, "max_attempts": 1000}
        study = Study(Space(x=Float(0, 1)), storage=url, name="kills", **spec)
        begun = time.perf_counter()
        with Crew(url, options.trials, Path(folder)) as crew:
            run_and_kill(study, crew, options, server)
        taken_s = time.perf_counter() - begun
        found = wrongs(study, crew, options.trials)
        again = sum(trial.record.attempts > 1 for trial in study.trials)
        study.close()
    print(
        f"{kind:<12} {options.trials} results, {crew.kills} kills{', 1 restart' if server else ''}, "
        f"{again} trials with a second attempt, {options.trials / taken_s:.0f} trials per s, "
        f"largest worker {crew.largest_mb:.0f} MB",
        flush=True,
    )
    for wrong in found:
        print(f"{'':<12} WRONG: {wrong}", flush=True)
    return not found


def main() -> None:
    """Measure each storage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--storages", default="sqlite,postgresql,mysql")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no worker outlives this process
    well = True
    for kind in options.storages.split(","):
        if options.restart or available(kind):
            try:
                well &= measure(kind, options)
            except MissingServerError as error:
                print(f"{kind:<12} skipped: it {error}")
        else:
            print(f"{kind:<12} skipped: set {SERVERS[kind]} to the server's address")
    if not well:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

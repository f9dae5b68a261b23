"""Take the guards out of the code one by one, and see whether a test notices.

python scripts/mutants.py [NAME ...]

Each mutant is a copy of the project with one change. It is killed when one of its tests fails, which pass in
the copy without the change. The exit code is 1 if a mutant survives, or if its tests fail without it. One
whose tests need a server that is not there is told as not run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]
SQL = "src/modelwright/storage/sql"
GUARDS = "tests/faults/test_guards.py"
CLOCKS = "tests/faults/test_clocks.py"

Result = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Mutant:
    """One change to one file, and the tests that should notice."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "no-skip-locked",
        f"{SQL}/candidates.py",
        ".with_for_update(skip_locked=True)",
        ".with_for_update()",
        (f"{GUARDS}::test_a_claim_passes_over_a_trial_that_another_one_holds",),
    ),
    Mutant(
        "no-fence",
        f"{SQL}/attempts.py",
        "row is not None and row.fence == claim.fence and row.state == RUNNING",
        "row is not None and row.state == RUNNING",
        (f"{GUARDS}::test_a_superseded_worker_is_refused_while_its_successor_runs",),
    ),
    Mutant(
        "deferred-begin",
        f"{SQL}/sqlite.py",
        '"BEGIN IMMEDIATE" if write else "BEGIN"',
        '"BEGIN"',
        (f"{GUARDS}::test_a_write_takes_the_lock_before_it_reads",),
    ),
    Mutant(
        "session-clock-sqlite",
        f"{SQL}/sqlite.py",
        "now_us=self._clock()",
        "now_us=now_us()",
        (f"{CLOCKS}::test_f40_a_worker_whose_clock_is_wrong[ahead-sqlite]",),
    ),
    Mutant(
        "session-clock-server",
        f"{SQL}/server.py",
        "return self._seen_us if self._clock is None else self._clock()",
        "return time.time_ns() // 1000 if self._clock is None else self._clock()",
        (
            f"{CLOCKS}::test_f40_a_worker_whose_clock_is_wrong[ahead-postgresql]",
            f"{CLOCKS}::test_f40_a_worker_whose_clock_is_wrong[ahead-mysql]",
        ),
    ),
    Mutant(
        "no-reaper",
        f"{SQL}/leases.py",
        "    return tx.now_us\n",
        "    return 0\n",
        (f"{GUARDS}::test_a_lease_that_has_run_out_is_given_out_again[sqlite]",),
    ),
    Mutant(
        "killpg-only",
        "src/modelwright/execution/local/keeper.py",
        "        left = system.kill_below(self._note_end)\n",
        "        left: list[int] = []\n"
        "        try:\n"
        "            os.killpg(running.pid, signal.SIGKILL)\n"
        "        except OSError:\n"
        "            pass\n"
        "        while running.status is None:\n"
        "            system.reap(self._note_end)\n",
        ("tests/execution/local/test_faults.py::test_children_that_outlive_a_result_go_with_it",),
    ),
)


def main(names: Sequence[str]) -> int:
    """Run the mutants of these names, or all, and return the exit code."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    if unknown := set(names) - {mutant.name for mutant in MUTANTS}:
        print(f"no such mutants: {', '.join(sorted(unknown))}")
        return 2
    bad = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "project"
        make_copy(copy)
        for mutant in chosen:
            verdict = judge(copy, mutant)
            bad += verdict not in ("killed", "not run")
            print(f"{mutant.name:22} {verdict}", flush=True)
    return 1 if bad else 0


def make_copy(copy: Path) -> None:
    """Copy what the tests need."""
    copy.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("src", "tests", "scripts"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", copy)


def judge(copy: Path, mutant: Mutant) -> str:
    """Say how a mutant fared; the copy is as before afterwards."""
    path = copy / mutant.path
    original = path.read_text(encoding="utf-8")
    if original.count(mutant.old) != 1:
        return f"is out of date: its text is {original.count(mutant.old)} times in {mutant.path}"
    before = run(copy, mutant.tests)
    if before == "skipped":
        return "not run"
    if before == "failed":
        return "cannot be judged: its tests fail without it"
    path.write_text(original.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        after = run(copy, mutant.tests)
    finally:
        path.write_text(original, encoding="utf-8")
    return "killed" if after == "failed" else "SURVIVED"


def run(copy: Path, tests: Sequence[str]) -> Result:
    """Run tests in the copy; passed means that at least one did, and none failed."""
    line = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    done = subprocess.run(
        [*line, *tests], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests could not be run:\n{done.stdout}{done.stderr}")
    if done.returncode == 1:
        return "failed"
    return "passed" if re.search(r"\d+ passed", done.stdout) else "skipped"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A ledger in a file, and objectives in another, for workers in processes of their own and in this one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.records import TrialState
from modelwright.storage import Storage, open_existing
from modelwright.testing.audit import audit

OBJECTIVES = """
import os, time
from pathlib import Path

def quick(trial):
    return trial.params["x"] ** 2

def nap(trial):
    Path(f"{trial.number}.started").write_text(str(os.getpid()))
    time.sleep(0.2)
    return trial.params["x"] ** 2

def hang(trial):
    Path(f"{trial.number}.started").write_text(str(os.getpid()))
    while not Path("go").exists():
        time.sleep(0.05)
    return trial.params["x"] ** 2

def bad(trial):
    if trial.number % 2:
        raise RuntimeError("on purpose")
    return 0.0

def surroundings(trial):
    import sys
    Path("seen.txt").write_text(repr((dict(os.environ), sys.argv)))
    return 0.0

def compute(trial):
    while True:
        pass

def flood(trial):
    while True:
        print("all work and no play" * 100)

def store(trial):
    for number in range(10_000):
        (trial.folder / str(number)).write_bytes(b"x" * 1_000_000)
        time.sleep(0.002)

async def later(trial):
    return 0.0
"""


class Ledger:
    """The file, and what tests ask of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'hub.db'}"

    def make(self, name: str, objective: str = "quick", trials: int | None = 5, **options: Any) -> None:
        """Create a study whose objective is a function in ``objectives.py``, or elsewhere if it says so."""
        reference = objective if ":" in objective or not objective else f"objectives.py:{objective}"
        study = Study(
            Space(x=Float(-5, 5)),
            name=name,
            storage=self.url,
            seed=1,
            objective=reference or None,
            **{"optimizer": "random", **options},
        )
        study.set_budget(trials)
        study.close()

    def read(self, question: Callable[[Storage], Any]) -> Any:
        """Ask the storage something."""
        storage = open_existing(self.url)
        try:
            return question(storage)
        finally:
            storage.close()

    def trials(self, name: str) -> list[Any]:
        return self.read(lambda storage: storage.trials(storage.study(name).id))

    def states(self, name: str) -> list[TrialState]:
        return [trial.state for trial in self.trials(name)]

    def state(self, name: str) -> str:
        return self.read(lambda storage: storage.study(name).state.value)

    def workers(self) -> list[Any]:
        return self.read(lambda storage: storage.workers())

    def check(self, name: str) -> None:
        """Check that the ledger has kept all its promises."""
        self.read(lambda storage: audit(storage, storage.study(name).id))

    def started(self) -> list[int]:
        """Return the process ids of trials that have begun."""
        return [int(text) for path in self.folder.glob("*.started") if (text := path.read_text())]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Return a ledger in `tmp_path`, which is the current folder, and where workers keep their state."""
    (tmp_path / "objectives.py").write_text(OBJECTIVES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in [name for name in os.environ if name.startswith("MODELWRIGHT_STORAGE")]:
        monkeypatch.delenv(name)
    return Ledger(tmp_path)


@pytest.fixture
def start_worker(start_python: Callable[..., Any], ledger: Ledger) -> Callable[..., Any]:
    """Return a function that starts ``modelwright worker`` on the ledger and returns its process."""
    return lambda *arguments: start_python("-m", "modelwright", "worker", "--storage", ledger.url, *arguments)

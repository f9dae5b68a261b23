"""A command that is killed leaves no half study, and the same command again finishes it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich_study import everything, written

from modelwright import Float, Space, Study
from modelwright.errors import StudyNotFoundError
from modelwright.records import Artifact, StudySpec, StudyState, Trial, TrialState
from modelwright.storage.base import AdoptedTrial, Storage
from modelwright.transfer import StudySnapshot, copy_study, export_study, write_snapshot

Open = Callable[[str], Storage]

KILLED = """
import os, signal, sys
from modelwright.storage import open_storage
from modelwright.transfer import copy_study
import modelwright.transfer.writing as writing

where, count = sys.argv[1], int(sys.argv[2])
source, target = open_storage("rich.db"), open_storage("target.db")

def die(name, original):
    calls = []
    def call(*arguments, **options):
        calls.append(name)
        if len(calls) > count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    return call

writing._BATCH = 2
if where == "copy_files":
    writing.copy_files = die(where, writing.copy_files)
else:
    setattr(target, where, die(where, getattr(target, where)))
copy_study(source, "rich", target, "copied")
print("done")
"""

# Before anything says that the study is not whole, while trials and files are written, and before the end.
_PLACES = [("set_state", 0), ("adopt", 1), ("copy_files", 0), ("set_state", 1), ("rename_study", 0)]


@pytest.mark.parametrize(("where", "count"), _PLACES, ids=str)
def test_a_killed_copy_is_no_study_and_can_be_repeated(
    rich: Storage, sqlite: Open, tmp_path: Path, start_python: Callable[..., Any], where: str, count: int
) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    process = start_python("killed.py", where, count)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    target = sqlite("target")
    with pytest.raises(StudyNotFoundError):
        target.study("copied")
    assert len(target.studies()) == 1  # what it left, which nobody takes for a study of that name
    assert target.studies()[0].state in (StudyState.PAUSED, StudyState.PENDING)
    written = copy_study(rich, "rich", target, "copied")
    assert [record.spec.name for record in target.studies()] == ["copied"]
    here, there = Study.load("rich", storage=rich).folder, written.folder
    assert everything(target, "copied", folder=str(there)) == {
        **everything(rich, "rich", folder=str(here)),
        "spec": replace(everything(rich, "rich")["spec"], name="copied"),
    }
    kept = [path for path in tmp_path.glob("target.files/**/*") if path.is_file()]
    assert [path.name for path in kept] == ["model.bin"]


def test_a_repeat_that_is_killed_while_it_clears_up(
    rich: Storage,
    sqlite: Open,
    tmp_path: Path,
    start_python: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    start_python("killed.py", "rename_study", 0).communicate(timeout=60)
    target = sqlite("target")

    def killed(folder: Path) -> None:
        min(path for path in folder.rglob("*") if path.is_file()).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("modelwright.transfer.staging.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            copy_study(rich, "rich", target, "copied")
    written = copy_study(rich, "rich", target, "copied")
    assert written.folder is not None
    assert list(written.folder.parent.iterdir()) == [written.folder]


# at any moment -------------------------------------------------------------------------------------------

TRIALS = 3000
MODELS = 200


@pytest.fixture
def large(sqlite: Open) -> Storage:
    """A ledger with the study ``s``: many trials, and files of some."""
    storage = sqlite("source")
    space = Space(x=Float(0, 1))
    key = write_snapshot(storage, StudySnapshot(StudySpec("s", space), [space.to_json()])).study.id
    folder = Study.load("s", storage=storage).folder
    assert folder is not None
    trials = []
    for n in range(TRIALS):
        artifacts: tuple[Artifact, ...] = ()
        if n < MODELS:
            artifacts = written(folder, f"trials/{n}-1/model.bin", f"{n}".encode() * 5000)
        trial = Trial(n, TrialState.COMPLETE, {"x": n / TRIALS}, (float(n),), fence=1)
        trials.append(AdoptedTrial(trial, n, artifacts=artifacts))
    storage.adopt(key, trials)
    return storage


def killed_at_random(start: Callable[[], subprocess.Popen[str]], check: Callable[[], None]) -> None:
    """Start a command again and again, and kill it; it is done when it ends by itself."""
    seed = int(os.environ.get("MODELWRIGHT_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"MODELWRIGHT_TEST_SEED={seed}")
    rng = random.Random(seed)
    for _ in range(10):
        process = start()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=rng.uniform(0.5, 5.0))
        process.kill()
        process.wait()
        check()
    process = start()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0 or "exists" in errors, errors


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", "server"])
@pytest.mark.parametrize("verb", ["copy", "merge", "import"])
def test_kills_at_any_moment(
    verb: str,
    place: str,
    large: Storage,
    sqlite: Open,
    far: Storage,
    tmp_path: Path,
    start_python: Callable[..., Any],
) -> None:
    target, url = (sqlite("target"), "target.db") if place == "file" else (far, far.url)
    export_study(large, "s", tmp_path / "s.jsonl")
    lines = {
        "copy": ["copy", "s", "--storage", "source.db", "--to", url],
        "merge": ["merge", "s", "s", "--storage", "source.db", "--to", url],
        "import": ["import", "s.jsonl", "--storage", url],
    }

    def check() -> None:
        assert all(record.issued == TRIALS for record in target.studies() if record.spec.name == "s")

    killed_at_random(lambda: start_python("-m", "modelwright", "studies", *lines[verb]), check)
    assert [record.spec.name for record in target.studies()] == ["s"]
    found, expected = everything(target, "s"), everything(large, "s")
    assert found["artifacts"] == expected["artifacts"]
    assert [(t.number, t.params, t.values) for t in found["trials"]] == [
        (t.number, t.params, t.values) for t in expected["trials"]
    ]
    if verb == "import":
        return
    if verb == "copy":
        assert found == expected
    back = copy_study(target, "s", sqlite("back"))
    assert (back.files.files, back.files.missing) == (MODELS, ())
    folders = {path.parents[2] for path in tmp_path.rglob("model.bin")}
    assert len(folders) == 3  # of the source, of the target, and of what came back


@pytest.mark.slow
def test_kills_of_an_export(large: Storage, tmp_path: Path, start_python: Callable[..., Any]) -> None:
    line = ["-m", "modelwright", "studies", "export", "s", "out.jsonl", "--storage", "source.db", "--force"]
    expected = tmp_path / "expected.jsonl"
    export_study(large, "s", expected)

    def check() -> None:
        out = tmp_path / "out.jsonl"
        assert not out.exists() or out.read_bytes() == expected.read_bytes()

    killed_at_random(lambda: start_python(*line), check)
    assert (tmp_path / "out.jsonl").read_bytes() == expected.read_bytes()

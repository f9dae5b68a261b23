from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelwright.automl.bundle import (
    current_version,
    locate,
    new_version,
    publish,
    verify,
    version_folder,
)
from modelwright.errors import BundleError

Write = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def shown(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_link_moves_and_the_last_two_stay(write: Write, run: Path) -> None:
    assert current_version(run) is None
    for number in (1, 2, 3):
        assert new_version(run) == number
        write(version_folder(run, number))
        assert publish(run, number) == number
        assert current_version(run) == number
        verify(run / "bundle")
    assert shown(run) == ["bundle", "bundles"]
    assert shown(run / "bundles") == ["2", "3"]
    assert (run / "bundle").readlink() == Path("bundles/3")


def test_the_link_holds_when_the_run_moves(write: Write, run: Path, tmp_path: Path) -> None:
    write(version_folder(run, 1))
    publish(run, 1)
    verify(run.rename(tmp_path / "moved") / "bundle")


def test_a_writer_that_was_overtaken_changes_nothing(write: Write, run: Path) -> None:
    for number in (1, 2):
        write(version_folder(run, number))
    publish(run, 2)
    assert publish(run, 1) == 2
    assert current_version(run) == 2


def test_newer_work_of_others_is_left_alone(write: Write, run: Path) -> None:
    for number in (1, 2, 5):
        write(version_folder(run, number))
    (run / "bundles/.6.0a1b2c3d").mkdir()
    publish(run, 2)
    assert shown(run / "bundles") == [".6.0a1b2c3d", "1", "2", "5"]
    publish(run, 5)
    assert shown(run / "bundles") == [".6.0a1b2c3d", "2", "5"]


def test_what_killed_writers_left_is_removed(write: Write, run: Path) -> None:
    (run / "bundles/.1.00c0ffee").mkdir(parents=True)
    (run / "bundles/.1.00c0ffee/part.npy").touch()
    (run / ".bundle-1.00c0ffee").symlink_to("bundles/1")
    (run / ".lock").touch()
    write(version_folder(run, 2))
    publish(run, 2)
    assert shown(run) == [".lock", "bundle", "bundles"]
    assert shown(run / "bundles") == ["2"]


def test_what_is_no_bundle_is_not_published(write: Write, run: Path) -> None:
    write(version_folder(run, 1))
    publish(run, 1)
    version_folder(run, 2).mkdir()
    with pytest.raises(BundleError):
        publish(run, 2)
    assert current_version(run) == 1


def test_locate_takes_a_bundle_or_a_run(write: Write, run: Path, tmp_path: Path) -> None:
    write(version_folder(run, 1))
    publish(run, 1)
    expected = (run / "bundles/1").resolve()
    assert locate(run) == locate(run / "bundle") == locate(run / "bundles/1") == expected
    assert locate(tmp_path / "absent") == (tmp_path / "absent").resolve()


# Imports nothing but the standard library and the modules under test, so that it starts publishing soon.
_PUBLISHER = """
import sys
from pathlib import Path
from modelwright.automl.bundle import MemberSource, new_version, publish, version_folder, write_bundle

class State:
    target, task, classes = "y", "binary", ("no", "yes")
    def to_json(self):
        return {"example": True}

run, model = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
while True:
    number = new_version(run)
    write_bundle(version_folder(run, number), schema=State(), encoder=State(), metric="f1",
                 members=[MemberSource("m", 1.0, [model])])
    publish(run, number)
"""


@pytest.fixture
def publisher(run: Path, fold_folder: Callable[[str], Path]) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Return a function that starts a process that publishes without end."""
    started: list[subprocess.Popen[str]] = []
    model = fold_folder("m")

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _PUBLISHER, str(run), str(model)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_kill_at_any_moment_leaves_a_whole_bundle(
    run: Path, publisher: Callable[[], subprocess.Popen[str]]
) -> None:
    moments = random.Random(3)
    seen = 0
    for _ in range(20):
        process = publisher()
        before = current_version(run)
        while current_version(run) == before and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moments.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        verify(run / "bundle")
        now = current_version(run)
        assert now is not None
        assert now > seen
        seen = now
    kept = [name for name in shown(run / "bundles") if not name.startswith(".")]
    assert len(kept) <= 3  # the last two, and one that was written but not yet published
    assert len(list(itertools.chain(run.glob(".*"), (run / "bundles").glob(".*")))) < 10  # they are swept


def test_a_reader_never_meets_half_a_bundle(
    run: Path, publisher: Callable[[], subprocess.Popen[str]]
) -> None:
    """Readers that find their folder gone look again; they see no other error."""
    publisher()
    while current_version(run) is None:
        time.sleep(0.001)
    read = set()
    while len(read) < 10:
        folder = locate(run)
        try:
            verify(folder)
        except (BundleError, OSError):
            assert locate(run) != folder
        else:
            read.add(folder.name)

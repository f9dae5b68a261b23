"""The process of a command, with and without a keeper above it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from modelwright.study.script.process import Process

GUARDED = pytest.mark.parametrize("guarded", [False, True])


def run(code: str, folder: Path, *, guarded: bool) -> Process:
    return Process(["/bin/sh", "-c", code], os.environ, folder, guarded=guarded)


def end_of(process: Process) -> int | None:
    while not process.wait(1.0):
        pass
    process.close()
    return process.code


@GUARDED
@pytest.mark.parametrize(
    ("code", "expected"), [("exit 0", 0), ("exit 7", 7), ("kill -ABRT $$", -6), ("kill -KILL $$", -9)]
)
def test_how_it_ends_is_told(tmp_path: Path, guarded: bool, code: str, expected: int) -> None:
    assert end_of(run(code, tmp_path, guarded=guarded)) == expected


@GUARDED
def test_where_the_kernel_tells_no_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert end_of(run("sleep 0.1; exit 3", tmp_path, guarded=guarded)) == 3


@GUARDED
def test_its_errors_pass_and_their_end_is_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], guarded: bool
) -> None:
    code = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i >&2; done; printf last >&2; echo out"
    process = run(code, tmp_path, guarded=guarded)
    assert end_of(process) == 0
    assert process.last_lines == [*(f"line {i}" for i in range(81, 101)), "last"]
    out, errors = capfd.readouterr()
    assert errors.startswith("line 1\nline 2\n")
    assert errors.endswith("line 100\nlast")
    assert out == "out\n"


@GUARDED
def test_the_whole_group_is_asked_to_go(tmp_path: Path, guarded: bool) -> None:
    code = "(trap 'echo > child; exit 0' TERM; echo > ready; while :; do sleep 0.02; done) & wait"
    process = run(f"trap : TERM; {code}; wait; exit 5", tmp_path, guarded=guarded)
    while not (tmp_path / "ready").exists():
        process.wait(0.01)
    process.terminate()
    assert end_of(process) == 5
    assert (tmp_path / "child").exists()


@GUARDED
def test_what_is_closed_is_killed(tmp_path: Path, guarded: bool) -> None:
    process = run("trap '' TERM; echo > ready; while :; do sleep 0.02; done", tmp_path, guarded=guarded)
    while not (tmp_path / "ready").exists():
        process.wait(0.01)
    process.terminate()
    process.close()
    assert process.code == -signal.SIGKILL
    process.terminate()  # harmless


def test_a_command_that_cannot_be_started(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no first line that says what runs it")
    broken.chmod(0o755)
    with pytest.raises(OSError, match="Exec format"):
        Process([str(broken)], os.environ, tmp_path, guarded=False)
    process = Process([str(broken)], os.environ, tmp_path, guarded=True)
    assert end_of(process) == 127
    assert "Exec format" in capfd.readouterr().err

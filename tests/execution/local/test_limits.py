"""Each limit is kept on the whole tree of processes, and each excess is told with its figure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from modelwright.execution import EndKind, Limits, LocalExecutor, Task
from modelwright.execution.local import output
from modelwright.execution.local.output import Output
from modelwright.testing.executors import drive, run_one

BURN = "while True: pass"


def works(executor):
    return run_one(executor, lambda channel, argument: argument, "works").result == "works"


# Computing time ----------------------------------------------------------------------------------------


def compute(channel, argument):
    while True:
        pass


def compute_in_children(channel, argument):
    """Let short-lived children do the work, one after the other, and one that is cut loose."""
    subprocess.Popen([sys.executable, "-c", BURN], start_new_session=True)
    while True:
        subprocess.run([sys.executable, "-c", "sum(range(2_000_000))"], check=True)


def compute_in_orphans(channel, argument):
    """Cut each child loose, so that nobody but the keeper takes leave of it."""
    while True:
        if os.fork() == 0:
            if os.fork() == 0:
                sum(range(2_000_000))
            os._exit(0)
        os.wait()


@pytest.mark.parametrize("function", [compute, compute_in_children, compute_in_orphans])
def test_computing_time_is_counted_over_the_whole_tree(local, survivors, function):
    end = run_one(local, function, limits=Limits(cpu_s=0.5, grace_s=0.2))
    assert end.kind is EndKind.CPU
    assert re.fullmatch(r"cpu: \d+\.\d s of 0\.5 s at [\d.]+ s", end.detail)
    assert len(survivors()) == 2, "launcher and keeper"
    assert works(local)


def test_waiting_is_no_computing(local):
    end = run_one(local, lambda channel, s: time.sleep(s), 1.0, limits=Limits(cpu_s=0.3))
    assert end.kind is EndKind.RESULT


# Output ------------------------------------------------------------------------------------------------


def print_without_end(channel, argument):
    while True:
        os.write(1, b"all work and no play\n" * 1000)


def test_a_flood_beyond_the_limit_ends_the_task(local, tmp_path):
    limits = Limits(output_mb=20, kept_output_mb=1)
    end = run_one(local, print_without_end, folder=tmp_path, limits=limits)
    assert end.kind is EndKind.OUTPUT
    assert re.fullmatch(r"output: [\d.]+ [MG]B of 20 MB at [\d.]+ s", end.detail)
    assert "The last lines of stdout.txt:\n" in end.output
    assert "all work and no play" in end.output
    assert (tmp_path / "stdout.txt").stat().st_size < 1_000_200
    assert works(local)


def cut_out(text):
    return re.findall(r"\n\[\.\.\. ([\d.]+) MB of output were cut out here \.\.\.\]\n", text)


def test_a_long_output_loses_its_middle(local, tmp_path):
    def speak(channel, argument):
        print("the beginning")
        for number in range(300_000):
            print(number)
        print("the end")

    assert run_one(local, speak, folder=tmp_path, limits=Limits(kept_output_mb=0.1)).kind is EndKind.RESULT
    text = (tmp_path / "stdout.txt").read_text()
    assert text.startswith("the beginning\n0\n1\n")
    assert text.endswith("299999\nthe end\n")
    assert cut_out(text) == ["1.9"]
    assert len(text) < 100_200


def test_a_long_output_takes_little_room_while_it_is_written(local, tmp_path):
    def speak(channel, argument):
        os.write(1, b"x" * 40_000_000)
        channel.send("printed", None)
        while not channel.receive():
            time.sleep(0.01)
        print("the end")

    def wait_for_room(job, kind, payload):
        until = time.monotonic() + 60
        while (tmp_path / "stdout.txt").stat().st_blocks * 512 > 2_000_000:
            assert time.monotonic() < until, "nothing was given back"
            time.sleep(0.01)
        job.send("go on", None)

    job = local.submit(Task("0-1", speak, folder=tmp_path, limits=Limits(kept_output_mb=1)))
    drive(local, [job], wait_for_room)
    assert (tmp_path / "stdout.txt").read_text().endswith("xthe end\n")


def test_where_files_can_have_no_holes_a_long_output_is_cut_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "free_blocks", lambda fd, begin, length: False)
    watched = Output(tmp_path, 0.001, None, 0.0)
    for part in range(3):
        with (tmp_path / "stdout.txt").open("ab") as file:
            file.write(f"{part}".encode() * 4000 + b"\n")
        watched.exceeded([], 1.0)
    watched.settle()
    watched.close()
    text = (tmp_path / "stdout.txt").read_text()
    assert cut_out(text) == ["0.0"]
    assert (text[:500], text[-500:]) == ("0" * 500, "2" * 499 + "\n")


def test_a_file_that_the_task_removes_is_counted_on(local, tmp_path):
    def hide(channel, folder):
        for name in ("stdout.txt", "stderr.txt"):
            (folder / name).unlink()
        print_without_end(channel, None)

    end = run_one(local, hide, tmp_path, folder=tmp_path, limits=Limits(output_mb=20))
    assert end.kind is EndKind.OUTPUT


@pytest.mark.parametrize(
    ("leave", "kind"),
    [
        (lambda: os._exit(3), EndKind.EXIT),
        (os.abort, EndKind.SIGNAL),
        (lambda: time.sleep(60), EndKind.TIMEOUT),
        (lambda: 1 / 0, EndKind.ERROR),
    ],
)
def test_the_last_lines_are_told_however_a_task_ends(local, tmp_path, leave, kind):
    def speak(channel, argument):
        print("loading the data")
        print("something is odd", file=sys.stderr)
        leave()

    end = run_one(local, speak, folder=tmp_path, limits=Limits(wall_s=0.5, grace_s=0.2))
    assert end.kind is kind
    assert end.output.startswith("The last lines of stdout.txt:\nloading the data\n\n")
    assert "The last lines of stderr.txt:\nsomething is odd" in end.output


def test_of_a_long_output_only_the_last_lines_are_told(local, tmp_path):
    def speak(channel, argument):
        for number in range(10_000):
            print(f"line {number}")

    lines = run_one(local, speak, folder=tmp_path).output.splitlines()
    assert (len(lines), lines[-1]) == (21, "line 9999")


# Disk --------------------------------------------------------------------------------------------------


def store_in_the_folder(channel, argument):
    store(channel.folder)


def store_temporarily(channel, argument):
    store(Path(tempfile.mkdtemp()))


def store(folder):
    for number in range(10_000):
        (folder / f"{number}.bin").write_bytes(b"x" * 1_000_000)
        time.sleep(0.002)


@pytest.mark.parametrize("function", [store_in_the_folder, store_temporarily])
def test_what_is_stored_is_counted_in_both_folders(local, tmp_path, function):
    end = run_one(local, function, folder=tmp_path, limits=Limits(disk_mb=30))
    assert end.kind is EndKind.DISK
    assert re.fullmatch(r"disk: [\d.]+ [MG]B of 30 MB at [\d.]+ s", end.detail)
    assert works(local)


def test_links_lead_nowhere_and_a_file_with_two_names_counts_once(local, tmp_path):
    (tmp_path / "large").write_bytes(b"x" * 20_000_000)

    def link(channel, outside):
        (channel.folder / "link").symlink_to(outside)
        (channel.folder / "one").write_bytes(b"x" * 20_000_000)
        (channel.folder / "two").hardlink_to(channel.folder / "one")
        time.sleep(0.8)

    end = run_one(local, link, tmp_path, folder=tmp_path / "own", limits=Limits(disk_mb=30))
    assert end.kind is EndKind.RESULT


# Temporary files ---------------------------------------------------------------------------------------


def leave_files(channel, argument):
    folder = Path(tempfile.mkdtemp())
    (folder / "file").touch()
    shell = subprocess.run(["sh", "-c", "echo $TMPDIR"], capture_output=True, text=True, check=True)
    return [str(folder), shell.stdout.strip()]


def test_temporary_files_go_with_their_task(local):
    (first, its), (_, others) = (run_one(local, leave_files).result for _ in "ab")
    assert Path(first).parent == Path(its)
    assert its != others
    assert not Path(its).exists()
    assert not Path(others).exists()
    assert Path(its).parent.stat().st_mode & 0o777 == 0o700, "others cannot look into it"


def test_they_go_with_a_task_that_is_killed_too(local):
    def fill(channel, argument):
        channel.send("room", leave_files(channel, argument)[1])
        time.sleep(60)

    rooms = []
    job = local.submit(Task("0-1", fill, limits=Limits(wall_s=1, grace_s=0.1)))
    drive(local, [job], lambda job, kind, room: rooms.append(Path(room)))
    assert job.end.kind is EndKind.TIMEOUT
    assert not rooms[0].exists()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files of this test alone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_none_is_left_when_the_executor_is_closed(temporary):
    executor = LocalExecutor(2)
    executor.submit(Task("0-1", print_without_end, folder=temporary / "own"))
    assert run_one(executor, leave_files).result[0].startswith(str(temporary))
    executor.close()
    assert [path.name for path in temporary.iterdir()] == ["own"]


def test_none_is_left_when_the_coordinator_is_killed(temporary, no_survivors):
    script = (
        "import os, signal\n"
        "from modelwright.execution import LocalExecutor, Task\n"
        "executor = LocalExecutor(1)\n"
        "def f(channel, argument):\n"
        "    import tempfile, time\n"
        "    channel.send('made', tempfile.mkdtemp())\n"
        "    time.sleep(60)\n"
        "executor.submit(Task('0-1', f))\n"
        "while True:\n"
        "    executor.events(1.0, lambda *message: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    no_survivors()
    assert list(temporary.iterdir()) == []

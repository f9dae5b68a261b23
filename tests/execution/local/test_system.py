"""What the operating system says about processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from modelwright.execution.local import system

TREE = """
import os, subprocess, sys, threading, time
def child():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
thread = threading.Thread(target=child)
thread.start()
thread.join()
held = bytearray(b"x") * 50_000_000
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def tree():
    """A process that holds 50 MB, and its child, which one of its threads has started."""
    with subprocess.Popen([sys.executable, "-c", TREE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        pids = [process.pid, *system.descendants(process.pid)]
        yield pids
        for pid in pids:
            os.kill(pid, 9)


@pytest.mark.parametrize("by_psutil", [False, True])
def test_trees_are_seen_whole(tree, monkeypatch, by_psutil):
    monkeypatch.setattr(system, "_HAS_CHILDREN_FILE", not by_psutil)
    parent, child = tree
    assert system.children(parent) == [child]
    assert child in system.descendants(os.getpid())
    assert system.descendants(child) == []


def test_memory_is_summed_and_the_cheap_figure_is_never_less(tree):
    proportional = system.proportional_mb(tree)
    assert 50 < proportional <= system.resident_mb(tree) < 200
    assert proportional > system.proportional_mb(tree[1:])


def test_what_has_gone_counts_nothing():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert system.descendants(gone.pid) == []
    assert system.resident_mb([gone.pid]) == 0
    assert system.proportional_mb([gone.pid]) == 0
    system.signal_all([gone.pid], 15)


def test_the_ends_of_children_are_taken():
    ends = []
    pids = set()
    for code in (0, 3):
        pid = os.fork()
        if pid == 0:
            os._exit(code)
        pids.add(pid)
    while system.reap(ends.append):
        time.sleep(0.001)
    assert {pid for pid, _, _ in ends} == pids
    assert sorted(os.waitstatus_to_exitcode(status) for _, status, _ in ends) == [0, 3]


def test_some_children_are_spared():
    spared, doomed = (subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in "ab")
    ends = []
    assert system.kill_below(ends.append, spare=[spared.pid]) == []
    assert [pid for pid, _, _ in ends] == [doomed.pid]
    doomed.returncode = -9  # it was waited for behind its back
    assert spared.poll() is None
    spared.kill()
    spared.wait()


def test_computing_time_includes_children_that_were_waited_for():
    script = "import os, subprocess, sys\n"
    script += "subprocess.run([sys.executable, '-c', 'sum(range(10_000_000))'], check=True)\n"
    script += "print(os.times().children_user + os.times().children_system, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        children_s = float(process.stdout.readline())
        assert children_s <= system.cpu_s([process.pid]) < children_s + 10
        assert system._cpu_by_psutil([process.pid]) == pytest.approx(system.cpu_s([process.pid]), abs=0.1)
        process.communicate("\n")
    assert system.cpu_s([process.pid]) == 0


def test_the_kernels_kills_are_counted():
    assert min(system.oom_kills()) >= 0


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/user.slice/job\n", "user.slice/job/memory.events"),
        ("5:cpu,cpuacct:/\n4:memory:/job\n0::/\n", "memory/job/memory.oom_control"),
    ],
)
def test_kills_in_our_own_control_group_are_told_apart(tmp_path, monkeypatch, groups, file):
    """Both versions of control groups, as the kernel shows them."""
    (tmp_path / "cgroup").write_text(groups)
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text("low 0\noom_kill_disable 0\noom_kill 3\n")
    found = system._memory_groups.__wrapped__(str(tmp_path / "cgroup"), str(tmp_path))
    assert str(path) in found
    monkeypatch.setattr(system, "_memory_groups", lambda: found)
    assert system.oom_kills().here == 3

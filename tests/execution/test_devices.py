"""GPUs are found, counted and leased; the devices here are names, which is all that leasing needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelwright.errors import ExecutionError
from modelwright.execution import devices
from modelwright.execution.devices import find_devices, lease_devices

LINUX = sys.platform == "linux"


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, ("0", "1")),
        ({"CUDA_VISIBLE_DEVICES": " GPU-3a , MIG-7 "}, ("GPU-3a", "MIG-7")),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,2"}, ("1",)),
        ({"MODELWRIGHT_GPUS": "0,1,2"}, ("0", "1", "2")),
        ({"CUDA_VISIBLE_DEVICES": "2", "MODELWRIGHT_GPUS": "0,1,2"}, ("2",)),
    ],
)
def test_variables_name_devices(environment, found):
    assert find_devices(environment) == found


def test_the_drivers_tool_is_asked(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\n[ \"$1\" = -L ] && echo 'GPU 0: NVIDIA H200 (UUID: GPU-1)' && "
        "echo 'GPU 1: NVIDIA H200 (UUID: GPU-2)'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_devices({}) == ("0", "1")


def test_a_tool_that_fails_is_no_devices(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not talk to the driver'\nexit 9\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    expected = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    assert len(find_devices({})) == expected


@pytest.mark.parametrize(
    ("slots", "share", "expected"),
    [
        (2, 1, [("0",), ("1",)]),
        (1, 2, [("0", "1")]),
        (4, 0.5, [("0",), ("0",), ("1",), ("1",)]),
        (6, 1 / 3, [("0",), ("0",), ("0",), ("1",), ("1",), ("1",)]),
        (3, 0.4, [("0",), ("0",), ("1",)]),
        (2, 0.6, [("0",), ("1",)]),
    ],
)
def test_slots_get_their_devices(tmp_path, slots, share, expected):
    lease = lease_devices(slots, share, ["0", "1"], tmp_path)
    assert lease.slots == expected
    lease.close()
    lease.close()


@pytest.mark.parametrize(
    ("slots", "share", "has", "words", "hint"),
    [
        (1, 1, [], "a trial asks for a GPU, and this machine has none", "Ask for less"),
        (1, 3, ["0", "1"], "a trial asks for 3 GPUs, and this machine has GPUs 0, 1", "Ask for less"),
        (3, 1, ["0", "1"], "3 trials at a time ask for a GPU each", "Run 2 at a time"),
        (3, 0.5, ["0"], "3 trials at a time ask for 0.5 of a GPU each, and this machine has GPU 0", "Run 2"),
        (3, 0.6, ["0", "1"], "0.6 of a GPU each", "Run 2"),
    ],
)
def test_what_can_never_be_met_is_refused_at_once(tmp_path, slots, share, has, words, hint):
    with pytest.raises(ExecutionError) as refused:
        lease_devices(slots, share, has, tmp_path)
    assert refused.value.code == "E_GPUS"
    assert words in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan"), float("inf"), "1", True])
def test_shares_that_make_no_sense(tmp_path, share):
    with pytest.raises(ExecutionError, match=r"such as 0\.5, or a whole number"):
        lease_devices(1, share, ["0"], tmp_path)


HOLD = """
import sys
from pathlib import Path
from modelwright.execution.devices import lease_devices
lease = lease_devices(int(sys.argv[2]), float(sys.argv[3]), ["0", "1"], Path(sys.argv[1]))
print(lease.slots, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Return a function that has another process lease devices, and returns that process."""
    started = []

    def start(slots, share):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path), str(slots), str(share)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not LINUX, reason="processes keep each other out on Linux alone")
def test_processes_do_not_get_each_others_devices(tmp_path, hold):
    other = hold(1, 1)
    mine = lease_devices(1, 1, ["0", "1"], tmp_path)
    assert mine.slots == [("1",)]
    with pytest.raises(ExecutionError, match="other processes hold too much of the GPUs 0, 1") as refused:
        lease_devices(1, 0.5, ["0", "1"], tmp_path)
    assert refused.value.code == "E_GPUS_BUSY"
    other.kill()
    other.wait()
    again = lease_devices(1, 0.5, ["0", "1"], tmp_path)  # what a killed process held is free
    assert again.slots == [("0",)]
    for lease in (mine, again):
        lease.close()


@pytest.mark.skipif(not LINUX, reason="processes keep each other out on Linux alone")
def test_processes_share_a_device(tmp_path, hold):
    hold(1, 0.5)
    mine = lease_devices(2, 0.5, ["0", "1"], tmp_path)
    assert mine.slots == [("0",), ("1",)]
    mine.close()


def test_a_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = devices._lease_folder()
    assert folder.parent == tmp_path
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExecutionError, match="somebody else's"):
        devices._lease_folder()

"""GPUs: which there are, and who has which part of them.

A trial asks for whole devices or for a part of one, and sees only its own (``CUDA_VISIBLE_DEVICES``). Parts
of a device are a matter of counting: nothing keeps trials that share one from using more of its memory.

Processes of one user on one machine keep out of each other's way by locks on bytes of a file for each device,
which the system gives back when a process ends, however it does.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from modelwright.errors import ExecutionError

__all__ = ["DeviceLease", "check_devices", "find_devices", "lease_devices"]

_UNITS = 840  # bytes that stand for a device: it can be cut into 2, 3, 4, 5, 6, 7 or 8 equal parts
_PATIENCE_S = 10.0


def find_devices(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the names of this machine's GPUs, as ``CUDA_VISIBLE_DEVICES`` takes them.

    What that variable says counts first, then ``MODELWRIGHT_GPUS``, which names devices that cannot be found,
    then what ``nvidia-smi`` or the driver's files tell. No library is loaded for it.

    Examples
    --------
    >>> find_devices({"CUDA_VISIBLE_DEVICES": "2,3"}), find_devices({"CUDA_VISIBLE_DEVICES": "-1"})
    (('2', '3'), ())
    """
    for variable in ("CUDA_VISIBLE_DEVICES", "MODELWRIGHT_GPUS"):
        if variable in environment:
            return _names(environment[variable])
    return tuple(str(number) for number in range(_count_devices()))


def _names(text: str) -> tuple[str, ...]:
    names: list[str] = []
    for name in map(str.strip, text.split(",")):
        if not name or name == "-1":
            break  # as the driver reads it: nothing behind counts
        names.append(name)
    return tuple(names)


def _count_devices() -> int:
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=_PATIENCE_S)
            if done.returncode == 0:
                return sum(line.startswith("GPU ") for line in done.stdout.splitlines())
    with suppress(OSError):
        return len(list(Path("/proc/driver/nvidia/gpus").iterdir()))
    return 0


def _check_share(gpus: float) -> None:
    number = isinstance(gpus, int | float) and not isinstance(gpus, bool)
    if not number or not 1 / _UNITS <= gpus < math.inf or (gpus > 1 and gpus != int(gpus)):
        raise ExecutionError(
            f"expected the GPUs of a trial as a part of one, such as 0.5, or a whole number, got {gpus!r}."
        )


class DeviceLease:
    """The devices of some slots, held until it is closed or its process ends.

    Attributes
    ----------
    slots : list of tuple of str
        The devices of each slot.
    """

    def __init__(self, slots: list[tuple[str, ...]], descriptors: Sequence[int]) -> None:
        self.slots = slots
        self._descriptors = list(descriptors)

    def close(self) -> None:
        """Give the devices back; harmless the second time."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()


def lease_devices(
    slots: int, share: float, devices: Sequence[str] | None = None, folder: Path | None = None
) -> DeviceLease:
    """Take `share` of a device, or so many devices, for each of `slots`.

    Parameters
    ----------
    slots : int
        How many trials run at a time.
    share : float
        How many devices each of them asks for.
    devices : sequence of str, optional
        Names of those that there are; `find_devices` by default.
    folder : Path, optional
        Where processes leave their locks; one of this user's, for temporary files, by default.

    Raises
    ------
    ExecutionError
        There are too few devices, or other processes hold them.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lease = lease_devices(3, 0.5, devices=["0", "1"], folder=Path(folder))
    ...     print(lease.slots)
    ...     lease.close()
    [('0',), ('0',), ('1',)]
    """
    devices = find_devices() if devices is None else devices
    check_devices(slots, share, devices)
    locks = _Locks(folder)
    taken: list[tuple[str, ...]] = []
    try:
        for _ in range(slots):
            mine = locks.take(share, devices)
            if mine is None:
                raise ExecutionError(
                    f"{_asked(slots, share)}, and other processes hold too much of the "
                    f"{_listed(devices)} for that.",
                    hint="Run fewer trials at a time, or wait until the others are over.",
                    code="E_GPUS_BUSY",
                )
            taken.append(mine)
    except BaseException:
        locks.close()
        raise
    return DeviceLease(taken, locks.descriptors)


def check_devices(slots: int, share: float, devices: Sequence[str] | None = None) -> None:
    """Check that the machine can ever give `share` of a device, or so many devices, to each of `slots`.

    Raises
    ------
    ExecutionError
        It cannot; the message says what it has.
    """
    _check_share(share)
    devices = find_devices() if devices is None else devices
    fit = int(len(devices) // share) if share >= 1 else len(devices) * (_UNITS // _units(share))
    if slots <= fit:
        return
    hint = f"Run {fit} at a time." if fit else "Ask for less, or name devices by CUDA_VISIBLE_DEVICES."
    raise ExecutionError(
        f"{_asked(slots, share)}, and this machine has {_listed(devices)}.", hint=hint, code="E_GPUS"
    )


def _asked(slots: int, share: float) -> str:
    trials = "a trial asks" if slots == 1 else f"{slots} trials at a time ask"
    what = f"{share:g} GPUs" if share > 1 else "a GPU" if share == 1 else f"{share:g} of a GPU"
    return f"{trials} for {what}" + (" each" if slots > 1 else "")


def _listed(devices: Sequence[str]) -> str:
    return f"GPUs {', '.join(devices)}" if len(devices) > 1 else f"GPU {devices[0]}" if devices else "none"


def _units(share: float) -> int:
    return max(1, min(_UNITS, math.floor(_UNITS * share + 1e-6)))


class _Locks:
    """Ranges of bytes that this process holds in files, one for each device."""

    def __init__(self, folder: Path | None) -> None:
        self.descriptors: list[int] = []
        self._folder = folder or _lease_folder()
        self._ours: set[tuple[str, int]] = set()

    def take(self, share: float, devices: Sequence[str]) -> tuple[str, ...] | None:
        """Take devices for one slot; None where too few are free."""
        count, units = (int(share), _UNITS) if share >= 1 else (1, _units(share))
        found: list[str] = []
        for device in devices:
            if len(found) < count and self._hold(device, units):
                found.append(device)
        return tuple(found) if len(found) == count else None

    def _hold(self, device: str, units: int) -> bool:
        """Hold the first part of a device that is free and of this size."""
        name = re.sub(r"[^\w-]", "_", device)
        descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for begin in range(0, _UNITS - units + 1, units):
            if (device, begin) not in self._ours and _lock(descriptor, begin, units):
                self._ours.add((device, begin))
                self.descriptors.append(descriptor)
                return True
        os.close(descriptor)
        return False

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()


def _lease_folder() -> Path:
    """Return a folder for locks that only this user can write to."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"modelwright-leases-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != user:
        raise ExecutionError(
            f"expected {str(folder)!r} to be a folder of this user, and it is somebody else's.",
            hint="Let the variable TMPDIR name another folder for temporary files.",
        )
    return folder


def _lock(descriptor: int, begin: int, length: int) -> bool:
    """Lock a range of a file for as long as `descriptor` is open; return whether it was free."""
    if sys.platform != "linux":
        return True  # locks of this kind are Linux's; elsewhere only our own slots are kept apart
    import fcntl

    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, begin, length, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except BlockingIOError:
        return False
    return True

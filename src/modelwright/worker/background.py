"""Workers in the background of this machine: started detached, found again, asked to leave, started again.

Each group that was started with ``--background`` has a file in the state folder, which only its owner may
read, since the address of a ledger may hold a password::

    <state folder>/worker-1a2b3c4d.json    its options, its process
    <state folder>/worker-1a2b3c4d.log     what it says; a few older ones beside it
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import stat
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from modelwright._base.jsonform import dumps, loads
from modelwright.errors import InputError
from modelwright.worker.group import Group
from modelwright.worker.options import WorkerOptions
from modelwright.worker.places import state_folder
from modelwright.worker.speaking import Voice

__all__ = [
    "GROUP_PREFIX",
    "BackgroundGroup",
    "background_groups",
    "new_group",
    "run_background",
    "start_background",
]

GROUP_PREFIX = "worker-"
"""How the ids of groups begin; other processes that run trials, such as notebooks, have none."""

_LOG_BYTES, _LOGS = 1_000_000, 3
_KEPT_S = 7 * 86400.0  # how long the file of a group that has left is kept, for `restart`


@dataclass(frozen=True, slots=True)
class BackgroundGroup:
    """A group of workers that was started in the background.

    Attributes
    ----------
    name : str
        Its id.
    options : WorkerOptions
        What it does.
    folder : str
        Where it was started: relative paths and modules are found from there.
    pid : int
        Its parent process.
    started : float
        When that began; tells it from a later one with the same id.
    pid_file : str
        File that holds `pid` while it runs; empty for none.
    """

    name: str
    options: WorkerOptions
    folder: str
    pid: int = 0
    started: float = 0.0
    pid_file: str = ""

    @property
    def path(self) -> Path:
        """Its file."""
        return state_folder() / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """Where it writes."""
        return self.path.with_suffix(".log")

    @property
    def alive(self) -> bool:
        """Whether its parent process runs."""
        return _process(self.pid, self.started) is not None

    def signal(self, number: int) -> bool:
        """Send its parent a signal; False if it is gone."""
        process = _process(self.pid, self.started)
        if process is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        return True

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is gone; False if it is still there after `timeout_s`."""
        until = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        return True

    def save(self) -> None:
        """Write its file, for its owner's eyes only."""
        form = {**asdict(self), "options": self.options.to_json()}
        temporary = self.path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(dumps(form))
        temporary.replace(self.path)
        if self.pid_file and self.pid:
            Path(self.pid_file).write_text(f"{self.pid}\n")

    @classmethod
    def load(cls, path: Path) -> BackgroundGroup:
        """Read a file that `save` wrote.

        Raises
        ------
        InputError
            It is damaged, or others may write it.
        """
        try:
            mode = path.stat().st_mode
            form: Mapping[str, Any] = loads(path.read_bytes())
            options = WorkerOptions.from_json(form["options"])
            group = cls(**{**form, "options": options})
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{str(path)!r} is damaged: {error}.", hint="Remove it.") from error
        if stat.S_IMODE(mode) & 0o077:
            raise InputError(
                f"others may read {str(path)!r}, which may hold a password.",
                hint=f"Run: chmod 600 {path}",
                code="E_PERMISSIONS",
            )
        return group


def new_group() -> str:
    """Return a new id of a group."""
    return f"{GROUP_PREFIX}{uuid.uuid4().hex[:8]}"


def background_groups(storage: str, pid_file: str = "") -> list[BackgroundGroup]:
    """Return the groups that were started on this machine and run, or else the last one that did.

    Parameters
    ----------
    storage : str
        Full address of their ledger.
    pid_file : str, optional
        Those that were started with this file instead, whatever their ledger.
    """
    groups = []
    for path in state_folder().glob(f"{GROUP_PREFIX}*.json"):
        with contextlib.suppress(FileNotFoundError):
            group = BackgroundGroup.load(path)
            if not group.alive and time.time() - path.stat().st_mtime > _KEPT_S:
                _forget(group)
            elif group.pid_file == _absolute(pid_file) if pid_file else group.options.storage == storage:
                groups.append(group)
    groups.sort(key=lambda group: group.started)
    return [group for group in groups if group.alive] or groups[-1:]


def start_background(
    options: WorkerOptions, *, pid_file: str = "", again: BackgroundGroup | None = None
) -> BackgroundGroup:
    """Start a group that lives on when this process and its terminal are gone.

    Parameters
    ----------
    options : WorkerOptions
        What it does.
    pid_file : str, optional
        Where its process id is written.
    again : BackgroundGroup, optional
        One that has left, to be started as it was; the rest counts for nothing then.
    """
    group = again or BackgroundGroup(
        new_group(), options, str(Path.cwd()), pid_file=_absolute(pid_file) if pid_file else ""
    )
    group = replace(group, pid=0, started=0.0)
    group.save()
    with group.log.open("ab") as log:
        pid = _spawn(
            [sys.executable, "-m", "modelwright", "worker", "--group-file", str(group.path)], log.fileno()
        )
    try:
        began = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        began = time.time()
    group = replace(group, pid=pid, started=began)
    group.save()
    return group


def _spawn(command: list[str], output: int) -> int:
    """Start a process in a session of its own, and forget about it.

    Nothing waits for it here: when this process has gone, the system does.
    """
    null = os.devnull
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, null, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "MODELWRIGHT_STORAGE"}
    return os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)


def run_background(path: Path) -> int:
    """Be the parent process of a group in the background."""
    group = BackgroundGroup.load(path)
    os.chdir(group.folder)
    log = _rotating(group.log)
    try:
        log("started")
        code = Group(group.options, name=group.name, voice=_LogVoice(log), listen=log).run()
        log(f"all slots have left: exit code {code}")
    except BaseException as error:
        log(f"ended by {type(error).__name__}: {error}")
        raise
    finally:
        if group.pid_file:
            with contextlib.suppress(OSError):
                Path(group.pid_file).unlink()
    return code


class _LogVoice(Voice):
    """A voice that speaks to a log."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self.say = self.note = log  # type: ignore[method-assign]


def _rotating(path: Path) -> Any:
    """Return a function that writes a line, with its time, to a file of limited size."""
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOGS)
    formatter = logging.Formatter("%(asctime)sZ %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.Logger("modelwright-background")  # of its own: what the library logs is not repeated
    logger.addHandler(handler)
    return logger.info


def _process(pid: int, started: float) -> psutil.Process | None:
    if not pid:
        return None
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _forget(group: BackgroundGroup) -> None:
    for path in group.path.parent.glob(f"{group.name}.*"):
        path.unlink(missing_ok=True)

"""What a worker was asked to do, checked before anything else happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from modelwright.errors import InputError
from modelwright.execution.base import Limits
from modelwright.execution.where import Where

__all__ = ["WorkerOptions"]


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The options of one `modelwright worker`.

    Attributes
    ----------
    storage : str
        Address of the ledger; it may hold a password, so it is not part of the representation.
    studies : tuple of str
        Names of the only studies to work on; all of the ledger where empty. One text may hold several names,
        separated by commas.
    slots : int
        How many trials to run at a time, each by a process of its own; on a cluster by one for all.
    total_time_s : float, optional
        How long to work in all; a trial that runs then is given back.
    wait : bool
        Whether to wait for work where there is none, rather than leave.
    poll_s : float
        How often to look for work while waiting.
    objective : str
        ``module:function``, ``path/to/file.py:function`` or the path of a script, for studies that name none
        that is found here.
    choose : {"order", "random"}
        Which of several studies of the same priority comes first: the oldest, or any.
    grace_s : float
        How long after a signal the worker has left; a trial that is not over soon enough is given back.
    patience_s : float
        How long to wait for a ledger that is out of reach.
    trial_timeout_s, trial_memory_mb, trial_cpu_s, trial_output_mb, trial_disk_mb : float, optional
        Limits of each trial; that of its output holds where it goes to files.
    gpus : float
        Devices of each trial, or the part of one that it gets.
    executor, address : str
        Where trials run: ``"local"``, or ``"dask"`` and the address of its scheduler.
    files : str
        A folder that all machines share, for files of trials where a database server has the ledger. Each
        study has its own below it.
    quiet : bool
        Whether to leave out the lines about single trials.
    """

    storage: str
    studies: tuple[str, ...] = ()
    slots: int = 1
    total_time_s: float | None = None
    wait: bool = False
    poll_s: float = 5.0
    objective: str = ""
    choose: Literal["order", "random"] = "order"
    grace_s: float = 5.0
    patience_s: float = 600.0
    trial_timeout_s: float | None = None
    trial_memory_mb: float | None = None
    trial_cpu_s: float | None = None
    trial_output_mb: float | None = None
    trial_disk_mb: float | None = None
    gpus: float = 0.0
    executor: str = "local"
    address: str = ""
    files: str = ""
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.storage == "memory://":
            raise InputError(
                "expected a storage that other processes can reach, got 'memory://'.",
                hint="Give a file, such as sqlite:///hub.db.",
                code="E_DB_URL",
            )
        if self.choose not in ("order", "random"):
            raise InputError(f"expected --choose to be 'order' or 'random', got {self.choose!r}.")
        if self.where.is_cluster and self.gpus:
            raise InputError("expected --gpus with --executor local alone, got --executor dask.")
        if self.slots < 1:
            raise InputError(f"expected --slots to be at least 1, got {self.slots!r}.")
        if self.objective and ":" not in self.objective and not Path(self.objective).is_file():
            raise InputError(
                "expected --objective to be module:function, path/to/file.py:function or the path of a "
                f"script, got {self.objective!r}."
            )

    def __repr__(self) -> str:
        return f"WorkerOptions(studies={self.studies!r}, slots={self.slots!r}, wait={self.wait!r})"

    @property
    def where(self) -> Where:
        """Where trials run."""
        return Where(self.executor, self.address)

    @property
    def processes(self) -> int:
        """How many processes work at the ledger: one for each slot of this machine, one for a cluster."""
        return 1 if self.where.is_cluster else self.slots

    def limits(self, wall_s: float | None = None, memory_mb: float | None = None) -> Limits:
        """Return the limits of each trial; what is given here holds where the user has said nothing."""
        return Limits(
            wall_s=wall_s if self.trial_timeout_s is None else self.trial_timeout_s,
            memory_mb=memory_mb if self.trial_memory_mb is None else self.trial_memory_mb,
            grace_s=self.kill_grace_s,
            cpu_s=self.trial_cpu_s,
            output_mb=self.trial_output_mb,
            disk_mb=self.trial_disk_mb,
        )

    @property
    def kill_grace_s(self) -> float:
        """Time between asking a trial to go and killing it: a part of the grace of the whole."""
        return min(2.0, self.grace_s / 4)

    @property
    def trial_grace_s(self) -> float:
        """How long a trial may go on after a signal, such that all is over within `grace_s`."""
        return max(0.0, 0.85 * self.grace_s - self.kill_grace_s)

    def wants(self, name: str) -> bool:
        """Whether the study called `name` is one to work on."""
        return not self.studies or any(name == text or name in _names(text) for text in self.studies)

    def unknown(self, names: set[str]) -> list[str]:
        """Return the studies that were asked for and are not among `names`."""
        return [
            part for text in self.studies if text not in names for part in _names(text) if part not in names
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON, the address of the ledger included."""
        return {**asdict(self), "studies": list(self.studies)}

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> WorkerOptions:
        """Return the options that `to_json` wrote."""
        return cls(**{**form, "studies": tuple(form["studies"])})


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]

"""Where a worker's trials run: kept between turns, and made anew for studies of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelwright.execution import Executor, Resources
from modelwright.execution.devices import DeviceLease, lease_devices
from modelwright.worker.leaving import Leaving
from modelwright.worker.options import WorkerOptions
from modelwright.worker.preemption import PreemptibleExecutor

if TYPE_CHECKING:
    from modelwright.execution.dask import DaskExecutor

__all__ = ["Venue"]


class Venue:
    """An executor with as many slots as this process has trials at a time.

    Parameters
    ----------
    options : WorkerOptions
        What the worker was asked to do.
    leaving : Leaving
        Whether it is to leave.

    Attributes
    ----------
    at_a_time : int
        How many trials it runs at a time: one here, where each slot has a process of its own; all of them on
        a cluster.
    """

    def __init__(self, options: WorkerOptions, leaving: Leaving) -> None:
        self._options = options
        self._leaving = leaving
        self._executor: PreemptibleExecutor | None = None
        self._devices: DeviceLease | None = None
        self._preload: tuple[str, ...] = ()
        self.at_a_time = options.slots // options.processes

    def open(self, preload: tuple[str, ...], folder: Path | None) -> Executor:
        """Return the executor.

        Parameters
        ----------
        preload : tuple of str
            Modules to import before trials.
        folder : Path, optional
            What all who run trials have to reach.

        Raises
        ------
        InputError
            The cluster does not answer, or there are workers that do not reach `folder`.
        """
        if self._executor is None or self._preload != preload:
            self._close_executor()
            slots = [Resources(gpus=self._gpus())] * self.at_a_time
            place = self._options.where.open(slots, helper_slots=1, preload=preload)
            self._executor, self._preload = PreemptibleExecutor(place, self._leaving), preload
        if self._options.where.is_cluster:
            cluster: DaskExecutor = self._executor.inner  # type: ignore[assignment]
            cluster.require_shared(folder)
        return self._executor

    def close(self) -> None:
        """End the processes that trials ran in, and give the devices back."""
        self._close_executor()
        if self._devices is not None:
            self._devices.close()
            self._devices = None

    def _close_executor(self) -> None:
        if self._executor is not None:
            self._executor.close()
            self._executor = None

    def _gpus(self) -> tuple[str, ...]:
        """Return the devices of the trials, taken once for as long as this worker lives."""
        if not self._options.gpus:
            return ()
        if self._devices is None:
            self._devices = lease_devices(1, self._options.gpus)
        return self._devices.slots[0]

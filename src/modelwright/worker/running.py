"""`modelwright worker` in the foreground: one slot, or a cluster, in this process; several in their own."""

from __future__ import annotations

from modelwright.execution.devices import check_devices
from modelwright.worker.background import new_group
from modelwright.worker.group import Group
from modelwright.worker.options import WorkerOptions
from modelwright.worker.process import SlotProcess
from modelwright.worker.speaking import Voice

__all__ = ["run_workers"]


def run_workers(options: WorkerOptions) -> int:
    """Work until there is nothing left or the process is asked to leave; return the exit code.

    Has to be called in the main thread, since it takes over SIGINT and SIGTERM meanwhile.

    Raises
    ------
    ModelwrightError
        What was given is wrong.
    """
    if options.gpus:
        check_devices(options.slots, options.gpus)
    name = new_group()
    if options.processes > 1:
        return Group(options, name=name, voice=Voice()).run()
    return SlotProcess(options, group=name, slots=options.slots).run()

"""Tasks in processes of their own, with limits that are kept from outside.

::

    coordinator ──── launcher          imports what trials need, forks keepers, never computes
        │               │ fork
        ├────────── keeper per slot    watches clock and memory, kills, reaps; never runs a user's code
        │               │ fork
        │            trial             a fresh process for each task, its own session

Each keeper has a socket of its own to the coordinator, so the launcher may be busy importing while trials
report. Everybody dies with the one above: a closed socket and the kernel's parent-death signal both say so.
"""

from __future__ import annotations

from modelwright.execution.local.executor import LocalExecutor

__all__ = ["LocalExecutor"]

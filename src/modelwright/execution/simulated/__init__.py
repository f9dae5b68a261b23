"""Tasks on a clock of their own: days of work over thousands of slots in seconds.

The tasks' functions are really called; only time is made up, and what happens to tasks meanwhile. The rest
of the program, told the same clock, runs as it is.
"""

from modelwright.execution.simulated.clock import SimulatedClock
from modelwright.execution.simulated.executor import SimulatedExecutor
from modelwright.execution.simulated.fate import Distribution, Preemptions, Stragglers
from modelwright.execution.simulated.stage import sleep

__all__ = [
    "Distribution",
    "Preemptions",
    "SimulatedClock",
    "SimulatedExecutor",
    "Stragglers",
    "sleep",
]

"""Noticing that a run leads nowhere: every trial fails, and nothing that is proposed will change it."""

from __future__ import annotations

from collections import Counter

from modelwright.records import Failure, FailureKind

__all__ = ["Hopeless"]

_SAME = 10  # failures of one cause, such as an import that is missing or a value that is never returned
_ANY = 50  # failures of whatever cause
_OURS = frozenset({FailureKind.ERROR, FailureKind.INVALID})  # most often a fault of the objective itself
_TELL_NOTHING = frozenset({FailureKind.LOST, FailureKind.KILLED})


class Hopeless:
    """Counts the failures of a run in which nothing has succeeded yet.

    Limits and values that are not finite depend on the configuration, so they are given more time than an
    exception of one class that every trial raises.

    Examples
    --------
    >>> hopeless = Hopeless()
    >>> failure = Failure(FailureKind.ERROR, "ModuleNotFoundError: No module named 'x'", "E_EXCEPTION")
    >>> [bool(hopeless.note(number, failure)) for number in range(10)].count(True)
    1
    """

    def __init__(self) -> None:
        self._causes: Counter[tuple[str, str]] = Counter()
        self._first: tuple[int, Failure] | None = None
        self._over = False

    def succeeded(self) -> None:
        """Note that a trial has a value: the others may fail as often as they like."""
        self._over = True

    def note(self, number: int, failure: Failure, running: int = 0) -> str:
        """Count the failure of a trial; return why to go on no longer, or an empty text.

        As many as are `running` have to fail: of thousands side by side, some fail before the first can end.
        """
        if self._over or failure.kind in _TELL_NOTHING:
            return ""
        self._first = self._first or (number, failure)
        cause = (failure.code, failure.message.partition(":")[0])
        self._causes[cause] += 1
        failed = self._causes.total()
        alike = failure.kind in _OURS and len(self._causes) == 1
        if failed < max(running, _SAME if alike else _ANY):
            return ""
        first, of = self._first
        return f"all {failed} trials have failed, the first of them, trial {first}, with: {of.message}"

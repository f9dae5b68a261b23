"""The trials of an Optuna study as they come in."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

__all__ = ["Following"]


class Following:
    """Finished trials in the order in which they ended, and those that run.

    Looking again costs O(new trials + unfinished ones). The order is by the moment of the end, as the storage
    has it, and by number among equals: the same in each process, and the order of the numbers where trials
    run one after the other.

    Attributes
    ----------
    finished : list of FrozenTrial
        Only appended to while `epoch` stays as it is.
    running : list of FrozenTrial
        By number.
    epoch : int
        Counts how often the finished ones had to be put in another order, as after a trial that ended before
        others but was written later.
    """

    def __init__(self) -> None:
        self.finished: list[FrozenTrial] = []
        self.running: list[FrozenTrial] = []
        self.epoch = 0
        self._seen = 0
        self._last = -1
        self._unfinished: list[int] = []

    def look(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in the study's trials, by number, as they are now."""
        if self._seen and (len(trials) < self._seen or trials[self._seen - 1].number != self._last):
            self._start_anew()
        unfinished = [*self._unfinished, *range(self._seen, len(trials))]
        ended = [trials[at] for at in unfinished if trials[at].state.is_finished()]
        self._unfinished = [at for at in unfinished if not trials[at].state.is_finished()]
        self.running = [trials[at] for at in self._unfinished if trials[at].state is TrialState.RUNNING]
        self._seen = len(trials)
        self._last = trials[-1].number if trials else -1
        self._append(sorted(ended, key=_end))

    def _start_anew(self) -> None:
        # A pruner that shows each trial a part of the study may have divided it otherwise.
        self.finished, self._seen, self._unfinished = [], 0, []
        self.epoch += 1

    def _append(self, ended: list[FrozenTrial]) -> None:
        in_order = not ended or not self.finished or _end(self.finished[-1]) < _end(ended[0])
        self.finished = self.finished if in_order else self.finished[:]
        self.finished += ended
        if not in_order:
            self.finished.sort(key=_end)
            self.epoch += 1


def _end(trial: FrozenTrial) -> tuple[float, int]:
    moment = trial.datetime_complete
    return (moment.timestamp() if moment is not None else 0.0), trial.number

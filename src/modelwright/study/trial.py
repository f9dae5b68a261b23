"""The handle that an objective gets for its trial."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelwright._base.seeds import generator
from modelwright.errors import InputError
from modelwright.study import checkpoints
from modelwright.study.notice import Notice

if TYPE_CHECKING:
    from pathlib import Path

    from modelwright.execution.base import Channel
    from modelwright.study.logged import LoggedFile

__all__ = ["RunningTrial", "TrialPruned"]


class TrialPruned(Exception):  # noqa: N818 - the name that users of other tools know
    """Raise it in an objective to end a trial as pruned; the last report stands as its value."""


class RunningTrial:
    """A trial, as its objective sees it.

    Attributes
    ----------
    number : int
        Its number in the study.
    params : dict
        The configuration; inactive parameters are absent.
    seed : int
        Derived from (study seed, number): the same in each attempt, for the objective's own randomness.
    attempt : int
        1 for the first.
    fidelity : float, optional
        How much of the budget to spend, where a scheduler sets it.

    Examples
    --------
    >>> from modelwright import Float, Space, Study
    >>> def f(trial):
    ...     return (trial.params["x"] - 1) ** 2 + trial.float("y", 0, 1)
    >>> study = Study(Space(x=Float(-5, 5)), seed=1)
    >>> study.run(f, trials=3, executor="inline").best_value > 0
    True
    """

    def __init__(self, channel: Channel, argument: Mapping[str, Any]) -> None:
        self._channel = channel
        self.number: int = argument["number"]
        self.params: dict[str, Any] = dict(argument["params"])
        self.seed: int = argument["seed"]
        self.attempt: int = argument["attempt"]
        self.fidelity: float | None = argument.get("fidelity")
        self.user_attrs: dict[str, Any] = _Attributes(channel, argument.get("user_attrs", {}))
        self._folder: str | None = argument.get("folder")
        self._argument = argument
        self._objective: str = argument["objectives"][0]["name"]
        self._logged: set[str] = set()
        self._stopped = False
        self._temporary: Path | None = None
        self._notice = Notice(channel, own_process=argument["own_process"])

    @property
    def folder(self) -> Path | None:
        """A folder of this attempt's own; None where the study has no place for files."""
        from pathlib import Path

        folder = self._channel.folder
        if folder is None and self._folder is not None:
            folder = Path(self._folder)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def checkpoint_dir(self) -> Path:
        """A folder of this attempt's own for what a later one can go on from; made when it is asked for.

        From then on a trial that has to go (the study is paused "now", or its worker is taken away) is not
        ended at once: `should_stop` is true, and there is a grace of a few seconds to write a checkpoint and
        return. What it returns then does not count, and no attempt is spent.

        Write a file under another name first and rename it, so that what is there is always whole. Where the
        study has no place for files, the folder goes with the attempt.
        """
        self._notice.listen()
        folder = self._some_folder() / checkpoints.NAME
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def asked_to_go(self) -> builtins.bool:
        """Whether this trial, which has a `checkpoint_dir`, is to be given back and goes on later.

        `should_stop` is true then as well, and when the scheduler wants an end for good.
        """
        return self._notice.given

    @property
    def resume_from(self) -> Path | None:
        """The folder of the newest checkpoint of an earlier attempt, or of the trial that this one continues.

        None where there is none, or where it is not in reach.

        Examples
        --------
        >>> from modelwright import Float, Space, Study
        >>> def f(trial):
        ...     first = 0
        ...     if trial.resume_from is not None:
        ...         first = int((trial.resume_from / "epoch").read_text())
        ...     for epoch in range(first, 3):
        ...         (trial.checkpoint_dir / "epoch").write_text(str(epoch + 1))
        ...     return trial.params["x"]
        >>> study = Study(Space(x=Float(0, 1)), seed=1)
        >>> study.run(f, trials=1, executor="inline").trials[0].state.value
        'complete'
        """
        folder = self._argument["resume_from"]
        if folder is None or not checkpoints.is_there(folder):
            return None
        from pathlib import Path

        return Path(folder)

    def _some_folder(self) -> Path:
        """Return the attempt's folder, or a temporary one where the study keeps no files."""
        if (folder := self.folder) is not None:
            return folder
        if self._temporary is None:
            import tempfile
            from pathlib import Path

            self._temporary = Path(tempfile.mkdtemp(prefix="modelwright-"))
        return self._temporary

    def _close(self) -> None:
        """Leave nothing behind; ends the process by the signal that asked it to go, if one did."""
        if self._temporary is not None:
            import shutil

            shutil.rmtree(self._temporary, ignore_errors=True)
        self._notice.close()

    @property
    def rng(self) -> Any:
        """A NumPy generator made from `seed`; the same stream each time it is asked for."""
        return generator(self.seed)

    def report(
        self,
        value: builtins.float | Mapping[str, builtins.float],
        step: builtins.float,
        *,
        fold: builtins.int | None = None,
    ) -> None:
        """Record an intermediate value.

        Parameters
        ----------
        value : float or mapping of str to float
            The first objective's value, or several by name. What is not finite is left out.
        step : float
            Epoch, rows, fold or seconds; a second report for a step replaces the first.
        fold : int, optional
            The fold that it belongs to.
        """
        values = value if isinstance(value, Mapping) else {self._objective: value}
        numbers = {str(name): _real(item, name) for name, item in values.items()}
        finite = {name: item for name, item in numbers.items() if math.isfinite(item)}
        at = _real(step, "step")
        if not self._notice.given:  # else it would be reported again by the next attempt
            self._channel.send("report", {"step": at, "values": finite, "fold": fold})

    def log_artifact(self, path: str | Path, name: str | None = None, *, format: str = "") -> LoggedFile:
        """Keep a file with the trial, to be read from any machine by `Study.fetch_artifact`.

        A file within `folder` stays where it is, and counts as it is when the trial ends; any other is
        copied there now. Files are kept however the trial ends, if they are there by then.

        Parameters
        ----------
        path : str or Path
            The file.
        name : str, optional
            Unique within the trial; by default the file's own, with the folders between it and `folder`.
        format : str, optional
            Such as ``"npy"``; the ending by default.

        Returns
        -------
        LoggedFile
            Its name, where it lies until the trial ends, and its format.

        Raises
        ------
        InputError
            There is no such file, it is a folder, or its name cannot be used or is taken.
        StudyStateError
            The study has no place for files.

        Examples
        --------
        >>> from pathlib import Path
        >>> from modelwright import Float, Space, Study
        >>> def f(trial):
        ...     Path("model.txt").write_text(f"{trial.params['x']}")
        ...     trial.log_artifact("model.txt")
        ...     return trial.params["x"]
        >>> study = Study(Space(x=Float(0, 1)), folder="demo", seed=1)
        >>> study.run(f, trials=1, executor="inline").artifacts(0)[0].location
        'trials/0-1/model.txt'
        """
        from modelwright.study.logged import log_file  # most trials have no files

        folder = self.folder
        logged = log_file(folder, path, name, format, self._logged)
        assert folder is not None
        self._logged.add(logged.name)
        self._channel.send("artifact", logged.form(folder))
        return logged

    def should_stop(self) -> builtins.bool:
        """Return whether this trial is to end now; return its value so far if so.

        The scheduler wants it, or a trial that has a `checkpoint_dir` was asked to go.
        """
        if not self._stopped:
            self._stopped = self._notice.given or bool(self._channel.ask("should_stop", None))
        return self._stopped

    def float(
        self,
        name: str,
        low: builtins.float,
        high: builtins.float,
        *,
        log: builtins.bool = False,
        step: builtins.float | None = None,
    ) -> builtins.float:
        """Return the value of a float parameter, which joins the space if it is new."""
        return float(self._suggest(name, "float", {"low": low, "high": high, "log": log, "step": step}))

    def int(
        self,
        name: str,
        low: builtins.int,
        high: builtins.int,
        *,
        log: builtins.bool = False,
        step: builtins.int = 1,
    ) -> builtins.int:
        """Return the value of an integer parameter, which joins the space if it is new."""
        return int(self._suggest(name, "int", {"low": low, "high": high, "log": log, "step": step}))

    def categorical(self, name: str, *choices: Any) -> Any:
        """Return one of `choices` (also given as one list), which join the space if they are new."""
        if len(choices) == 1 and isinstance(choices[0], Sequence) and not isinstance(choices[0], str):
            choices = tuple(choices[0])
        return self._suggest(name, "categorical", {"choices": list(choices)})

    def bool(self, name: str) -> builtins.bool:
        """Return the value of a yes-or-no parameter, which joins the space if it is new."""
        return bool(self._suggest(name, "bool", {}))

    def _suggest(self, name: str, kind: str, options: Mapping[str, Any]) -> Any:
        if name not in self.params:
            answer = self._channel.ask("parameter", {"name": name, "kind": kind, "options": dict(options)})
            if "error" in answer:
                raise InputError(answer["error"])
            self.params[name] = answer["value"]
        return self.params[name]


class _Attributes(dict[str, Any]):
    """A dictionary whose writes leave the trial's process at once, so that its crash does not lose them."""

    def __init__(self, channel: Channel, start: Mapping[str, Any]) -> None:
        super().__init__(start)
        self._channel = channel

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._channel.send("attr", {str(key): value})

    def update(self, *others: Any, **items: Any) -> None:
        for key, value in dict(*others, **items).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other: Any) -> _Attributes:  # type: ignore[override, misc]
        self.update(other)
        return self


def _real(value: Any, name: str) -> float:
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        raise InputError(
            f"expected a number to report as {name!r}, got {type(value).__name__} {value!r:.40}."
        )
    return float(value)

"""The handle of a trial in a Python program that was started as one."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright.errors import InputError, StudyStateError
from modelwright.study.script.lines import Lines
from modelwright.study.script.messages import to_request
from modelwright.study.script.paths import PROTOCOL, TRIAL, Paths
from modelwright.study.script.result import result_form
from modelwright.study.trial import RunningTrial
from modelwright.study.values import Result

if TYPE_CHECKING:
    from modelwright.execution.base import Resources

__all__ = ["FileChannel", "ScriptTrial", "current_trial"]

_SOON_S, _LATE_S, _SLOWER = 0.002, 0.05, 1.3  # between two looks for an answer


def current_trial() -> ScriptTrial:
    """Return the trial that this program is, where a study has started it as a `Script`.

    Returns
    -------
    ScriptTrial
        The same object each time.

    Raises
    ------
    StudyStateError
        No study has started this program.

    Examples
    --------
    >>> import modelwright
    >>> trial = modelwright.current_trial()  # doctest: +SKIP
    >>> trial.report(0.5, step=1)  # doctest: +SKIP
    >>> trial.finish(0.34)  # doctest: +SKIP
    """
    path = os.environ.get(TRIAL, "")
    if not path:
        raise StudyStateError(
            f"this program was not started by a study: there is no variable {TRIAL}.",
            hint='A study starts it so: study.run(modelwright.Script("train.py"), trials=20).',
            code="E_NO_TRIAL",
        )
    return _opened(path, os.getpid())


@cache
def _opened(path: str, pid: int) -> ScriptTrial:
    try:
        argument = json.loads(Path(path).read_text(encoding="utf-8"))
        version = argument["protocol"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyStateError(
            f"the trial in {path!r} cannot be read: {type(error).__name__}: {error}.", code="E_NO_TRIAL"
        ) from error
    if version != PROTOCOL:
        raise StudyStateError(
            f"the trial in {path!r} speaks version {version} of the protocol, and this program {PROTOCOL}.",
            hint="Use one version of Modelwright for the run and for its scripts.",
        )
    return ScriptTrial(Paths.beside(Path(path)), argument)


class ScriptTrial(RunningTrial):
    """A trial, as the program sees it that was started for it: a `RunningTrial` with a `finish`.

    Several processes of one trial, such as the ranks of a distributed training, may read it; one of them
    should do the talking.
    """

    def __init__(self, paths: Paths, argument: Mapping[str, Any]) -> None:
        folder = argument["folder"]
        channel = FileChannel(paths, None if folder is None else Path(folder))
        super().__init__(channel, {**argument, "own_process": True})
        self._paths = paths
        self._attempt_folder = Path(argument["checkpoint_dir"]).parent

    def should_stop(self) -> bool:
        """Return whether this trial is to end now; see `RunningTrial.should_stop`."""
        self._stopped = self._stopped or self._paths.stop.exists()
        return super().should_stop()

    def finish(
        self,
        values: Any = None,
        *,
        metrics: Mapping[str, Any] | None = None,
        cost: float | None = None,
        pruned: bool = False,
    ) -> None:
        """Give the trial's result; the last one counts, once the program has ended without an error.

        Parameters
        ----------
        values : float, sequence or mapping of str to float
            As an objective returns them; a `Result` has all of it in one.
        metrics : mapping, optional
            Further results as JSON.
        cost : float, optional
            What the trial counts for in a budget of costs.
        pruned : bool, default=False
            Whether it ends early; its last report stands for it where there are no values.

        Raises
        ------
        InputError
            It cannot be written as JSON, or there is nothing in it.
        """
        result = values if isinstance(values, Result) else Result(values, metrics or {}, cost, pruned)
        if result.values is None and not result.pruned:
            raise InputError("expected the trial's value, got None.")
        try:
            text = json.dumps(result_form(result), default=_plain)
        except (TypeError, ValueError) as error:
            raise InputError(f"the result cannot be written as JSON: {error}.") from error
        part = self._paths.result.with_suffix(f".{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        part.replace(self._paths.result)

    def _some_folder(self) -> Path:
        return self._attempt_folder


class FileChannel:
    """A trial's line to its run, by files.

    Parameters
    ----------
    paths : Paths
        The files.
    folder : Path, optional
        The attempt's own.
    """

    def __init__(self, paths: Paths, folder: Path | None) -> None:
        self.folder = folder
        self._paths = paths
        self._lines = Lines(paths.answers)
        self._me = secrets.token_hex(4)
        self._numbers = itertools.count()

    @property
    def resources(self) -> Resources:
        """What the trial's slot offers, as its environment says."""
        from modelwright.execution.base import Resources

        devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        threads = os.environ.get("OMP_NUM_THREADS", "")
        return Resources(
            cpus=int(threads) if threads.isdigit() else 1,
            gpus=tuple(devices.split(",")) if devices else (),
        )

    def send(self, kind: str, payload: Any) -> None:
        """Write a request, without waiting."""
        self._write(self._request(kind, payload))

    def ask(self, kind: str, payload: Any) -> Any:
        """Write a request and wait for its answer."""
        name = f"{self._me}-{next(self._numbers)}"
        self._write({**self._request(kind, payload), "id": name})
        answer = self._answer_to(name)
        if kind == "parameter":
            return answer
        if not answer["ok"]:
            raise InputError(answer["error"])
        return answer.get("stop")

    def receive(self) -> list[tuple[str, Any]]:
        """Return nothing: what comes down is a file that says stop."""
        return []

    def _request(self, kind: str, payload: Any) -> dict[str, Any]:
        if kind == "artifact":
            assert self.folder is not None
            payload = {**payload, "file": str(self.folder.absolute() / payload["file"])}
        return to_request(kind, payload)

    def _write(self, request: Mapping[str, Any]) -> None:
        try:
            line = json.dumps(request, allow_nan=False, default=_plain).encode() + b"\n"
        except (TypeError, ValueError) as error:
            raise InputError(f"the message must be a JSON value: {error}.", code="E_NOT_JSON") from None
        with self._paths.requests.open("ab", buffering=0) as file:
            if file.write(line) != len(line):
                raise StudyStateError(
                    f"the request could not be written whole to {str(self._paths.requests)!r}."
                )

    def _answer_to(self, name: str) -> dict[str, Any]:
        pause_s = _SOON_S
        while True:
            for line in self._lines.new():
                answer: dict[str, Any] = json.loads(line or b"{}")
                if answer.get("id") == name:
                    return answer
            time.sleep(pause_s)
            pause_s = min(pause_s * _SLOWER, _LATE_S)


def _plain(value: Any) -> Any:
    """Return numbers of other libraries as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON value")

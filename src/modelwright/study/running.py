"""`Study.run`: checks what was asked, sets the budget, builds the parts, and runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from modelwright.errors import InputError
from modelwright.execution import Executor, Limits, Resources, make_executor
from modelwright.records import StudyState
from modelwright.schedulers import make_scheduler
from modelwright.study.callbacks import Callback, FunctionCallback
from modelwright.study.engine import Engine
from modelwright.study.objective import check_objective
from modelwright.study.runner import Runner
from modelwright.study.trial import ObjectiveCall
from modelwright.study.worker import forfeit_dead_workers, this_worker

if TYPE_CHECKING:
    from modelwright.study.study import Study

__all__ = ["run_study"]

_GRACE_S = 2.0


def run_study(
    study: Study,
    function: Callable[..., Any],
    *,
    trials: int | None,
    more: int | None,
    timeout: float | None,
    parallel: int,
    executor: str | Executor,
    catch: tuple[type[BaseException], ...],
    callbacks: Sequence[Any],
    trial_timeout: float | None,
    trial_memory_mb: float | None,
    preload: Sequence[str],
) -> str:
    """Run the study and return why the run ended; see `Study.run`."""
    check_objective(function)
    _whole("parallel", parallel, least=1)
    for name, seconds in (("timeout", timeout), ("trial_timeout", trial_timeout), ("trial_memory_mb", trial_memory_mb)):
        _positive(name, seconds)
    started = time.monotonic()
    _set_budget(study, trials, more)
    record = study._view.record
    if record.state is StudyState.COMPLETE:
        return "complete"
    storage = study._storage
    worker = this_worker()
    storage.register_worker(worker)
    forfeit_dead_workers(storage, record.id, worker)
    if record.spec.reproducible:
        storage.set_window(record.id, parallel)
    storage.set_state(record.id, StudyState.RUNNING)
    study._view.refresh()

    # A run shall be over when its time is: what is left after the deadline is a small part of it.
    grace_s = _GRACE_S if timeout is None else min(_GRACE_S, 0.03 * timeout)
    limits = Limits(trial_timeout, trial_memory_mb, grace_s)
    engine = Engine(parallel, None if timeout is None else started + timeout)
    owned = isinstance(executor, str)
    place = _make(executor, parallel, trial_memory_mb, preload)
    runner = Runner(
        study,
        ObjectiveCall(function, record.spec.objectives),
        place,
        engine,
        limits=limits,
        worker=worker,
        scheduler=_scheduler(study),
        catch=catch,
        callbacks=[item if isinstance(item, Callback) else FunctionCallback(item) for item in callbacks],
        folder=study.folder if place.isolates else None,
    )
    study._stop = runner.stop
    try:
        return runner.run()
    finally:
        study._stop = None
        if owned:
            place.close()


def _make(
    executor: str | Executor, parallel: int, memory_mb: float | None, preload: Sequence[str]
) -> Executor:
    if not isinstance(executor, str):
        return executor
    if executor == "inline" and parallel > 1:
        raise InputError(
            f"executor='inline' runs one trial at a time, got parallel={parallel}.",
            hint="Use executor='thread' or 'local'.",
        )
    return make_executor(executor, slots=[Resources(memory_mb=memory_mb)] * parallel, preload=preload)


def _scheduler(study: Study) -> Any:
    component = study.spec.scheduler
    return None if component is None else make_scheduler(component, study.objectives)


def _set_budget(study: Study, trials: int | None, more: int | None) -> None:
    if trials is not None and more is not None:
        raise InputError("expected `trials` (in all) or `more` (on top), got both.")
    study._view.refresh()
    record = study._view.record
    if trials is not None:
        _whole("trials", trials, least=1)
        wanted: int | None = max(trials, record.issued)
    elif more is not None:
        _whole("more", more, least=1)
        wanted = record.issued + more
    else:
        wanted = None
    if wanted != record.budget_trials:
        study._storage.set_budget(record.id, wanted)
        study._view.refresh()


def _whole(name: str, value: Any, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"expected {name} to be a whole number of at least {least}, got {value!r}.")


def _positive(name: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise InputError(f"expected {name} to be a positive number, got {value!r}.")

"""`Study.run`: checks what was asked, sets the budget, builds the parts, and runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from modelwright.errors import InputError, StudyStateError
from modelwright.execution import EXECUTORS, Executor, Limits, Resources, make_executor
from modelwright.records import StudyState
from modelwright.schedulers import Scheduler, make_scheduler
from modelwright.storage.base import WorkerInfo
from modelwright.study.callbacks import Callback, FunctionCallback
from modelwright.study.engine import Engine
from modelwright.study.objective import check_objective
from modelwright.study.runner import Runner
from modelwright.study.trial import ObjectiveCall
from modelwright.study.worker import forfeit_dead_workers, retire, this_worker

if TYPE_CHECKING:
    from modelwright.study.study import Study

__all__ = ["run_study"]

_GRACE_S = 2.0


def run_study(
    study: Study,
    function: Callable[..., Any],
    *,
    trials: int | None = None,
    more: int | None = None,
    timeout: float | None = None,
    parallel: int = 1,
    executor: str | Executor = "local",
    catch: tuple[type[BaseException], ...] = (BaseException,),
    callbacks: Sequence[Any] = (),
    trial_timeout: float | None = None,
    trial_memory_mb: float | None = None,
    preload: Sequence[str] = (),
) -> str:
    """Run the study and return why the run ended; see `Study.run`."""
    started = time.monotonic()
    check_objective(function)
    _whole("parallel", parallel, least=1)
    _positive("timeout", timeout)
    _positive("trial_timeout", trial_timeout)
    _positive("trial_memory_mb", trial_memory_mb)
    _check_place(executor, parallel)
    caught, hooks = _exception_types(catch), _hooks(callbacks)
    if study._stop is not None:
        raise StudyStateError(
            f"this object of the study {study.name!r} is running already.",
            hint="Open it a second time with Study.load, or raise `parallel`.",
        )
    _set_budget(study, trials, more)
    if study._view.record.state is StudyState.COMPLETE:
        return "complete"
    worker = this_worker(study.storage)
    try:
        _take_up(study, worker, parallel)
    except BaseException:
        retire(worker.id)
        raise

    # A run shall be over when its time is: what is left after the deadline is a small part of it.
    grace_s = _GRACE_S if timeout is None else min(_GRACE_S, 0.03 * timeout)
    limits = Limits(trial_timeout, trial_memory_mb, grace_s)
    engine = Engine(parallel, None if timeout is None else started + timeout)
    place = _make(executor, parallel, trial_memory_mb, preload)
    try:
        runner = Runner(
            study,
            ObjectiveCall(function, study.objectives),
            place,
            engine,
            limits=limits,
            worker=worker,
            scheduler=_scheduler(study),
            catch=caught,
            callbacks=hooks,
            folder=study.folder if place.isolates else None,
        )
        study._stop = runner.stop
        return runner.run()
    finally:
        study._stop = None
        if isinstance(executor, str):
            place.close()
        retire(worker.id)


def _take_up(study: Study, worker: WorkerInfo, parallel: int) -> None:
    """Enter the worker into the ledger, free what dead ones held, and set the study going."""
    storage, record = study._storage, study._view.record
    storage.register_worker(worker)
    forfeit_dead_workers(storage, record.id, worker)
    if record.spec.reproducible:
        storage.set_window(record.id, parallel)
    storage.set_state(record.id, StudyState.RUNNING)
    study._view.refresh()


def _make(
    executor: str | Executor, parallel: int, memory_mb: float | None, preload: Sequence[str]
) -> Executor:
    if not isinstance(executor, str):
        return executor
    return make_executor(executor, slots=[Resources(memory_mb=memory_mb)] * parallel, preload=preload)


def _scheduler(study: Study) -> Callable[[], Scheduler] | None:
    component = study.spec.scheduler
    return None if component is None else partial(make_scheduler, component, study.objectives)


def _check_place(executor: Any, parallel: int) -> None:
    if isinstance(executor, str):
        EXECUTORS.get(executor)
        if executor == "inline" and parallel > 1:
            raise InputError(
                f"executor='inline' runs one trial at a time, got parallel={parallel}.",
                hint="Use executor='thread' or 'local'.",
            )
    elif not hasattr(executor, "submit"):
        raise InputError(f"expected an executor or the name of one, got {type(executor).__name__}.")


def _exception_types(catch: Any) -> tuple[type[BaseException], ...]:
    types = catch if isinstance(catch, tuple | list) else (catch,)
    for item in types:
        if not (isinstance(item, type) and issubclass(item, BaseException)):
            raise InputError(f"expected exception classes as `catch`, got {item!r}.", hint="(ValueError,)")
    return tuple(types)


def _hooks(callbacks: Any) -> list[Callback]:
    given = callbacks if isinstance(callbacks, Sequence) else [callbacks]
    for item in given:
        if not isinstance(item, Callback) and not callable(item):
            raise InputError(f"expected functions f(study, trial) as `callbacks`, got {item!r:.60}.")
    return [item if isinstance(item, Callback) else FunctionCallback(item) for item in given]


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

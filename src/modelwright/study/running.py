"""`Study.run`: checks what was asked, sets the budget, builds the parts, and runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright.errors import InputError, StorageUnavailableError, StudyStateError
from modelwright.execution import EXECUTORS, Executor, Limits, Resources, make_executor
from modelwright.execution.devices import DeviceLease, lease_devices
from modelwright.records import StudyState
from modelwright.schedulers import Scheduler, make_scheduler
from modelwright.storage.base import WorkerInfo
from modelwright.study.call import ObjectiveCall
from modelwright.study.callbacks import Callback, FunctionCallback
from modelwright.study.engine import Engine
from modelwright.study.objective import check_objective
from modelwright.study.runner import Runner
from modelwright.study.worker import forfeit_dead_workers, retire, this_worker

if TYPE_CHECKING:
    from modelwright.study.study import Study

__all__ = ["run_study"]


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
    limits: Limits | None = None,
    cpus: int = 1,
    gpus: float = 0,
    reuse: int = 1,
    preload: Sequence[str] = (),
    address: str | None = None,
    client: Any | None = None,
    spool: Path | None = None,
) -> str:
    """Run the study and return why the run ended; see `Study.run`.

    Results that a storage out of reach could not take are kept in the folder `spool`, by default the study's
    own or else the current one.
    """
    started = time.monotonic()
    check_objective(function, study._proposer.full_space(), here=executor in ("local", "thread", "inline"))
    _whole("parallel", parallel, least=1)
    _positive("timeout", timeout)
    _positive("trial_timeout", trial_timeout)
    _positive("trial_memory_mb", trial_memory_mb)
    _whole("cpus", cpus, least=1)
    _whole("reuse", reuse, least=1)
    _check_place(executor, parallel)
    where = _where(executor, address, client)
    wanted = _limits(limits, trial_timeout, trial_memory_mb, timeout)
    _check_output(study, wanted)
    caught, hooks = _exception_types(catch), _hooks(callbacks)
    if study._stop is not None:
        raise StudyStateError(
            f"this object of the study {study.name!r} is running already.",
            hint="Open it a second time with Study.load, or raise `parallel`.",
        )
    study._view.refresh()
    _refuse_paused(study)
    _set_budget(study, trials, more)
    if study._view.record.state is StudyState.COMPLETE:
        return "complete"
    with ExitStack() as stack:
        devices = _devices(executor, parallel, gpus, reuse)
        stack.callback(devices.close)
        worker = this_worker(study.storage)
        stack.callback(retire, worker.id)
        slots = [Resources(cpus, wanted.memory_mb, names) for names in devices.slots]
        place = _make(executor, slots, preload, reuse, where)
        if isinstance(executor, str):
            stack.callback(place.close)
        _take_up(study, worker, parallel)
        # An executor with a clock of its own has stood still until now.
        began_s = place.clock() if hasattr(place, "clock") else started
        runner = Runner(
            study,
            ObjectiveCall(function, study.objectives),
            place,
            Engine(parallel, None if timeout is None else began_s + timeout),
            limits=wanted,
            worker=worker,
            scheduler=_scheduler(study),
            catch=caught,
            callbacks=hooks,
            folder=study.folder,
            spool=spool or study.folder or Path.cwd(),
        )
        study._stop = runner.stop
        stack.callback(setattr, study, "_stop", None)
        return _run(runner, study, worker)


def _limits(
    limits: Limits | None, timeout: float | None, memory_mb: float | None, run_s: float | None
) -> Limits:
    """Return the limits of each trial; those with a name of their own count first."""
    wanted = limits or Limits()
    # A run shall be over when its time is: what is left after the deadline is a small part of it.
    grace_s = wanted.grace_s if run_s is None else min(wanted.grace_s, 0.03 * run_s)
    return replace(
        wanted,
        wall_s=wanted.wall_s if timeout is None else timeout,
        memory_mb=wanted.memory_mb if memory_mb is None else memory_mb,
        grace_s=grace_s,
    )


def _check_output(study: Study, limits: Limits) -> None:
    if limits.output_mb is not None and study.folder is None:
        raise InputError(
            "expected a folder for what trials print, since its amount is limited, and the study has none.",
            hint="Give one: Study(..., folder=...), or a SQLite file as storage.",
        )


def _devices(executor: str | Executor, parallel: int, gpus: float, reuse: int) -> DeviceLease:
    """Take the devices that the trials need; the lease names none where they ask for none."""
    if executor != "local" and (gpus or reuse > 1):
        raise InputError(
            f"gpus={gpus!r} and reuse={reuse!r} are for executor='local', got {executor!r:.60}.",
            hint="Give an executor of your own its devices by its slots: Resources(gpus=('0',)).",
        )
    return lease_devices(parallel, gpus) if gpus else DeviceLease([()] * parallel, ())


def _run(runner: Runner, study: Study, worker: WorkerInfo) -> str:
    try:
        reason = runner.run()
    except StorageUnavailableError:
        raise  # a goodbye would have to wait as long again
    except BaseException:
        study._storage.retire_worker(worker.id)
        raise
    study._storage.retire_worker(worker.id)
    return reason


def _take_up(study: Study, worker: WorkerInfo, parallel: int) -> None:
    """Enter the worker into the ledger, free what dead ones held, and set the study going."""
    storage, record = study._storage, study._view.record
    storage.register_worker(worker)
    forfeit_dead_workers(storage, record.id, worker)
    if record.spec.reproducible:
        storage.set_window(record.id, parallel)
    storage.set_state(record.id, StudyState.RUNNING)
    study._view.refresh()
    if study._view.record.state is StudyState.PAUSED:  # in this very moment
        storage.retire_worker(worker.id)
        _refuse_paused(study)


def _refuse_paused(study: Study) -> None:
    if study._view.record.state is StudyState.PAUSED:
        raise StudyStateError(
            f"the study {study.name!r} is paused.",
            hint=f"study.resume(), or `modelwright studies resume {study.name}`, lets it go on.",
            code="E_PAUSED",
        )


def _make(
    executor: str | Executor,
    slots: Sequence[Resources],
    preload: Sequence[str],
    reuse: int,
    where: Mapping[str, Any],
) -> Executor:
    if not isinstance(executor, str):
        return executor
    options = dict(where) | ({"reuse": reuse} if reuse > 1 else {})
    return make_executor(executor, slots=slots, preload=preload, **options)


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


def _where(executor: Any, address: str | None, client: Any | None) -> dict[str, Any]:
    """Return which cluster to use, as options of the executor."""
    given = {"address": address, "client": client}
    given = {name: value for name, value in given.items() if value is not None}
    if given and executor != "dask":
        raise InputError(
            f"expected {' and '.join(given)} with executor='dask' alone, got executor={executor!r:.60}."
        )
    return given


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
    record = study._view.record
    if trials is not None:
        _whole("trials", trials, least=1)
        wanted = max(trials, record.issued)
    elif more is not None:
        _whole("more", more, least=1)
        wanted = record.issued + more
    else:
        return
    if wanted != record.budget.trials:
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

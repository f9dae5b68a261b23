"""The study: the one object that users of the engine hold."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from modelwright.errors import InputError, StudyExistsError, StudyStateError
from modelwright.records import (
    Budget,
    Component,
    Objective,
    OutcomeConstraint,
    SearchSettings,
    StudySpec,
    StudyState,
    Trial,
    TrialState,
)
from modelwright.space import Space
from modelwright.storage import Storage, open_existing, open_storage
from modelwright.storage.base import StudyRecord
from modelwright.study.asking import AskedTrials
from modelwright.study.files import StudyFiles
from modelwright.study.making import (
    check_parts,
    component_of,
    constraints_of,
    objectives_of,
    seed_of,
    trial_state_of,
)
from modelwright.study.objective import reference_of
from modelwright.study.proposing import Proposer
from modelwright.study.results import TrialResult, to_dataframe, why_no_best
from modelwright.study.spaces import SpaceVersions
from modelwright.study.trial import RunningTrial
from modelwright.study.view import LedgerView

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from modelwright.execution.base import Executor, Limits
    from modelwright.study.callbacks import Callback
    from modelwright.study.replay import Replay

__all__ = ["Study"]


class Study(StudyFiles):
    """A search for the best parameters of a function.

    Parameters
    ----------
    space : Space, optional
        Where configurations come from. An empty one lets the objective name its parameters itself, with
        ``trial.float("lr", 1e-5, 1, log=True)``.
    direction : {"minimize", "maximize"}, default="minimize"
        Of the single objective.
    directions : sequence of str, or mapping of str to str, optional
        Of several objectives, by name if a mapping is given.
    storage : str, Path or Storage, optional
        Where the ledger is: in memory by default, ``"sqlite:///hub.db"`` for a file.
    name : str, optional
        Unique in the storage; made up by default.
    seed : int, optional
        All randomness of the study derives from it; drawn and kept by default.
    optimizer : str or Component, optional
        Who proposes: a name, ``"path/to/file.py:Class"``, or a Component with options; ``"auto"`` by default.
    scheduler : str or Component, optional
        Who stops trials early, such as ``"median"``.
    deterministic : bool, default=False
        Equal configurations give equal values: none is proposed twice, and a finite space ends.
    reproducible : bool, default=False
        Lock-step: the same trials whatever the timing, the number of processes and interruptions.
    load_if_exists : bool, default=False
        Go on with the study of that name instead of refusing. What is given of space, objectives, optimizer,
        scheduler, seed, `deterministic` and `reproducible` has to be what the study was made with.
    objective : str or callable, optional
        By what a worker finds the objective: ``"module:function"``, ``"path/to/file.py:function"``, a
        `Script`, or the function itself, whose name is kept if it can be imported by it. `run` takes its own.
    lease_s : float, default=60
        How long the ledger keeps a trial for a worker that has fallen silent.
    max_attempts : int, default=3
        How many attempts a trial gets when its workers are lost.
    retry : mapping of str to int, optional
        How many further attempts a trial gets that failed, by the kind of failure, such as ``{"error": 1}``.
    priority : int, default=1
        Workers take studies of the highest priority first.
    folder : str or Path, optional
        Where trials keep files and output. Beside a SQLite file by default; a server's own for one that
        serves; none for memory.
    user_attrs : mapping, optional
        JSON values to keep with the study.

    outcome_constraints : sequence of str, optional
        What trials have to measure to count as best, such as ``["latency <= 20"]``: an objective's value, a
        metric of `Result`, or a user attribute of the trial. A trial that does not say it fails.

    Raises
    ------
    StudyExistsError
        The name is taken, or the study of that name was made with something else than what is given.

    Examples
    --------
    >>> from modelwright import Categorical, Float, Int, Space, Study
    >>> space = Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "b"))
    >>> study = Study(space, seed=1, optimizer="random")
    >>> _ = study.run(lambda trial: trial.params["x"] ** 2, trials=20, executor="inline")
    >>> len(study.trials), study.best_value < 1
    (20, True)
    """

    def __init__(
        self,
        space: Space | None = None,
        direction: str | None = None,
        *,
        directions: Sequence[str] | Mapping[str, str] | None = None,
        storage: str | Path | Storage | None = None,
        name: str | None = None,
        seed: int | None = None,
        optimizer: str | Component | None = None,
        scheduler: str | Component | None = None,
        deterministic: bool | None = None,
        reproducible: bool | None = None,
        load_if_exists: bool = False,
        objective: str | Callable[..., Any] | None = None,
        lease_s: float = 60.0,
        max_attempts: int = 3,
        retry: Mapping[str, int] | None = None,
        priority: int = 1,
        folder: str | Path | None = None,
        user_attrs: Mapping[str, Any] | None = None,
        description: str = "",
        dataset_id: int | None = None,
        search: SearchSettings | None = None,
        outcome_constraints: Sequence[str | OutcomeConstraint] | str | None = None,
    ) -> None:
        space = Space() if space is None else space
        if not isinstance(space, Space):
            raise InputError(f"expected a Space, got {type(space).__name__}. Write Space(x=Float(0, 1)).")
        space.ensure_feasible()
        spec = StudySpec(
            name=name if name is not None else f"study-{secrets.token_hex(4)}",
            space=space,
            objectives=objectives_of(direction, directions),
            optimizer=component_of("auto" if optimizer is None else optimizer),
            scheduler=None if scheduler in (None, "none") else component_of(scheduler),
            seed=seed_of(seed),
            deterministic=bool(deterministic),
            reproducible=bool(reproducible),
            lease_s=lease_s,
            max_attempts=max_attempts,
            retry=dict(retry or {}),
            priority=priority,
            objective_ref=reference_of(objective),
            description=description,
            dataset_id=dataset_id,
            search=search or SearchSettings(),
            outcome_constraints=constraints_of(outcome_constraints),
        )
        check_parts(spec)
        opened = _opened(storage)
        try:
            record = opened.create_study(spec)
        except StudyExistsError:
            if not load_if_exists:
                raise
            record = opened.study(spec.name)
            given = {
                "space": bool(len(space)),
                "objectives": direction is not None or directions is not None,
                "optimizer": optimizer is not None,
                "scheduler": scheduler is not None,
                "seed": seed is not None,
                "deterministic": deterministic is not None,
                "reproducible": reproducible is not None,
                "outcome_constraints": outcome_constraints is not None,
            }
            from modelwright.study.sameness import check_same

            check_same(record, spec, [name for name, is_given in given.items() if is_given])
        if user_attrs:
            record = opened.set_user_attrs(record.id, user_attrs)
        self._open(opened, record, space if len(space) else record.spec.space, folder)

    @classmethod
    def load(
        cls,
        name: str,
        *,
        storage: str | Path | Storage,
        space: Space | None = None,
        folder: str | Path | None = None,
    ) -> Study:
        """Return the study called `name`.

        Parameters
        ----------
        name : str
            The study.
        storage : str, Path or Storage
            Where it is.
        space : Space, optional
            Its space again, for choices that are objects; only their labels are stored.
        folder : str or Path, optional
            As in the constructor.

        Raises
        ------
        StudyNotFoundError
            There is none of that name.
        """
        opened = open_existing(storage) if isinstance(storage, str | os.PathLike) else storage
        record = opened.study(name)
        if space is not None:
            from modelwright.study.sameness import check_same

            check_same(record, replace(record.spec, space=space), ["space"])
        study = cls.__new__(cls)
        study._open(opened, record, space or record.spec.space, folder)
        return study

    def _open(self, storage: Storage, record: StudyRecord, space: Space, folder: str | Path | None) -> None:
        self._storage = storage
        self._folder = _folder_of(storage, record, folder)
        # The space that was given may be version 0, or the one that `set_space` has made of it.
        first = space == record.spec.space
        base = space if first else record.spec.space
        self._view = LedgerView(storage, record, base)
        self._read_spaces = SpaceVersions(base)
        if not first:
            for spaces in (self._view.spaces, self._read_spaces):
                spaces.learn(space)
        self._proposer = Proposer(storage, self._view, base)
        self._asked = AskedTrials(storage, self._view, self._proposer, self._folder)
        self._stop: Callable[[str], None] | None = None

    # running -----------------------------------------------------------------------------------------

    def run(
        self,
        function: Callable[[RunningTrial], Any],
        trials: int | None = None,
        *,
        more: int | None = None,
        timeout: float | None = None,
        parallel: int = 1,
        executor: str | Executor = "local",
        catch: tuple[type[BaseException], ...] = (BaseException,),
        callbacks: Sequence[Callback | Callable[[Study, TrialResult], None]] = (),
        trial_timeout: float | None = None,
        trial_memory_mb: float | None = None,
        limits: Limits | None = None,
        cpus: int = 1,
        gpus: float = 0,
        reuse: int = 1,
        preload: Sequence[str] = (),
        address: str | None = None,
        client: Any | None = None,
    ) -> Study:
        """Evaluate `function` until the budget is used up.

        Without `trials`, `more` and `timeout` there is no budget: the run goes on until Ctrl-C or `stop` ends
        it, or until nothing is left to try.

        Running the same line again, in this process or another, goes on where the ledger stands.

        Parameters
        ----------
        function : callable
            Called with a `RunningTrial`; returns a float, or one value per objective. A `Script` is one that
            runs a command.
        trials : int, optional
            How many trials the study shall have in all, those of earlier runs included; its budget
            (`set_budget`) by default.
        more : int, optional
            How many trials to add to what there is; instead of `trials`.
        timeout : float, optional
            Seconds for this run. Trials that still run then are ended and kept for the next run; with
            ``executor="inline"`` a running objective cannot be ended.
        parallel : int, default=1
            How many trials run at a time.
        executor : {"local", "thread", "inline", "dask"} or Executor, default="local"
            Where trials run: a fresh process each, threads, this very call, or the workers of a cluster.
        catch : tuple of exception types, default=(BaseException,)
            What an objective may raise without ending the run. The trial fails in any case.
        callbacks : sequence, optional
            Functions ``f(study, trial)``, called when a trial is over, or `Callback` objects.
        trial_timeout, trial_memory_mb : float, optional
            Hard limits of each trial with ``executor="local"``: seconds, and megabytes of its whole process
            tree.
        limits : Limits, optional
            More of them: computing time, output, disk (`modelwright.execution.Limits`).
        cpus : int, default=1
            Cores of each trial; its thread pools are set to it.
        gpus : float, default=0
            Devices of each trial, or the part of one that it gets, such as 0.5 (``executor="local"``).
        reuse : int, default=1
            How many trials a process may run in turn; for trials of milliseconds (``executor="local"``).
        preload : sequence of str, optional
            Modules that trials need, imported once before them (``executor="local"``).
        address, client : str, or distributed.Client, optional
            The cluster of ``executor="dask"``: the address of its scheduler, or a client.

        Returns
        -------
        Study
            This study.

        Raises
        ------
        InputError
            The budget, the function or a setting makes no sense.
        StudyStateError
            The study is paused, or this object runs already.
        StudyNotFoundError
            Somebody deleted the study while it ran.
        ExecutionError
            The machine can never give what the trials ask for, such as GPUs.
        ModelwrightError
            Trials have failed and nothing else, all for one reason or very many: the run has ended early, and
            the message says with what the first has failed.
        StorageUnavailableError
            The storage stayed out of reach; the message names the file that keeps results it could not take.
        KeyboardInterrupt
            Ctrl-C was pressed. The ledger is in order, and the same call goes on later.
        """
        from modelwright.study.running import run_study  # what runs trials is loaded when trials run

        run_study(
            self,
            function,
            trials=trials,
            more=more,
            timeout=timeout,
            parallel=parallel,
            executor=executor,
            catch=catch,
            callbacks=callbacks,
            trial_timeout=trial_timeout,
            trial_memory_mb=trial_memory_mb,
            limits=limits,
            cpus=cpus,
            gpus=gpus,
            reuse=reuse,
            preload=preload,
            address=address,
            client=client,
        )
        return self

    def stop_run(self) -> None:
        """End the present run of this object once its running trials are over; the study goes on later.

        Callable from a callback or a thread. `stop` ends the study itself, for all that run it.
        """
        if self._stop is not None:
            self._stop("stopped")

    def ask(self) -> RunningTrial:
        """Return the next trial to evaluate, wherever you like; give its result to `tell`.

        Raises
        ------
        StudyStateError
            There is none: the budget is used up, the space is, or lock-step mode waits for a `tell`.
        """
        return self._asked.ask()

    def tell(
        self,
        trial: RunningTrial | int,
        values: Any = None,
        *,
        state: TrialState | str = TrialState.COMPLETE,
    ) -> TrialResult:
        """Record the result of a trial that `ask` gave.

        Parameters
        ----------
        trial : RunningTrial or int
            The trial, or its number.
        values : float or sequence of float, optional
            The result. What is not usable fails the trial, as in `run`.
        state : {"complete", "pruned", "failed"}, default="complete"
            How it ended.
        """
        number = trial if isinstance(trial, int) else trial.number
        self._asked.tell(number, values, trial_state_of(state))
        self._view.refresh()
        return self.result(self._view.trials[number])

    # reading -----------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Its name in the storage."""
        return self._view.record.spec.name

    @property
    def spec(self) -> StudySpec:
        """All that was fixed when it was created."""
        return self._view.record.spec

    @property
    def state(self) -> StudyState:
        """Where it stands now."""
        self._view.refresh()
        return self._view.record.state

    @property
    def space(self) -> Space:
        """The newest version of its space."""
        self._view.refresh()
        return self._proposer.full_space()

    @property
    def record(self) -> StudyRecord:
        """The ledger's record of it, as last seen."""
        return self._view.record

    @property
    def storage(self) -> Storage:
        """The ledger."""
        return self._storage

    @property
    def folder(self) -> Path | None:
        """Where its trials keep files, if anywhere."""
        return self._folder

    @property
    def budget(self) -> Budget:
        """What it may spend in all; change it with `set_budget`."""
        self._view.refresh()
        return self._view.record.budget

    @property
    def counts(self) -> Mapping[TrialState, int]:
        """How many trials are in each state; states without any may be absent."""
        self._view.refresh()
        return MappingProxyType(dict(self._view.counts))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimized."""
        return self.spec.objectives

    @property
    def directions(self) -> list[str]:
        """``"minimize"`` or ``"maximize"`` for each objective."""
        return [objective.direction for objective in self.objectives]

    @property
    def user_attrs(self) -> Mapping[str, Any]:
        """JSON values kept with the study; add some with `set_user_attr`."""
        self._view.refresh()
        return MappingProxyType(dict(self._view.record.user_attrs))

    def set_user_attr(self, name: str, value: Any) -> None:
        """Keep a JSON value with the study."""
        self._storage.set_user_attrs(self._view.record.id, {name: value})

    @property
    def trials(self) -> list[TrialResult]:
        """All trials by number."""
        self._view.refresh()
        return [self.result(trial) for trial in self._view.trials.in_order()]

    @property
    def best_trial(self) -> TrialResult:
        """The complete trial with the best value, of those that meet the outcome constraints.

        Raises
        ------
        StudyStateError
            No trial is complete, none meets the constraints, or there are several objectives (see
            `best_trials`).
        """
        if len(self.objectives) > 1:
            raise StudyStateError(
                "the study has several objectives, so no single best.", hint="Use best_trials."
            )
        self._view.refresh()
        best = self._view.best
        if best is None:
            raise StudyStateError(why_no_best(self.name, self.spec, self._view.trials.values()))
        return self.result(best)

    @property
    def best_trials(self) -> list[TrialResult]:
        """The complete trials that no other beats in every objective, by number.

        Those that break an outcome constraint are left out.
        """
        from modelwright.analysis.best import pareto_trials

        self._view.refresh()
        trials, bounds = self._view.trials.in_order(), self.spec.outcome_constraints or ()
        return [self.result(trial) for trial in pareto_trials(trials, self.objectives, bounds)]

    @property
    def best_value(self) -> float:
        """The value of `best_trial`."""
        return self.best_trial.values[0]

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of `best_trial`."""
        return dict(self.best_trial.params)

    def result(self, trial: Trial) -> TrialResult:
        """Return a record of the ledger as users read it."""
        return TrialResult(trial, self._view.spaces)

    def trials_dataframe(self) -> pd.DataFrame:
        """Return one row per trial: number, value, datetimes, duration, params_*, user_attrs_*, state."""
        return to_dataframe(self.trials, [objective.name for objective in self.objectives])

    def replay(self, *, trial: int | None = None) -> Replay:
        """Recompute each proposal from the ledger's log, and tell what differs.

        Proposals are recomputed from what their optimizer saw, whoever ran the study, with however many
        processes, interrupted or not. Rows are compared with what the log said when they were written.

        Parameters
        ----------
        trial : int, optional
            Look at this one only.

        Returns
        -------
        Replay
            The log, and the differences in the order in which they came into being.

        Examples
        --------
        >>> from modelwright import Float, Space, Study
        >>> study = Study(Space(x=Float(0, 1)), seed=1)
        >>> _ = study.run(lambda trial: trial.params["x"], trials=12, executor="inline")
        >>> study.replay().equal
        True
        """
        from modelwright.study.replay import replay

        return replay(self._storage, self.record.id, self._view.spaces.base, trial=trial)

    def close(self) -> None:
        """Give back trials that were asked for and not told, and the storage's connections."""
        self._asked.close()
        self._storage.close()

    def __repr__(self) -> str:
        return f"Study({self.name!r}, storage={self._storage.url!r})"


def _opened(storage: str | Path | Storage | None) -> Storage:
    return open_storage(storage) if storage is None or isinstance(storage, str | os.PathLike) else storage


def _folder_of(storage: Storage, record: StudyRecord, given: str | Path | None) -> Path | None:
    if given is None and storage.url == "memory://":
        return None
    from pathlib import Path

    from modelwright.study.folders import default_folder

    return default_folder(storage, record) if given is None else Path(given)

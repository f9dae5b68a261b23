"""The study: the one object that users of the engine hold."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from modelwright._base.seeds import fresh_seed
from modelwright.errors import InputError, StudyExistsError, StudyStateError
from modelwright.optimizers import make_optimizer
from modelwright.records import Component, Objective, SearchSettings, StudySpec, StudyState, Trial, TrialState
from modelwright.space import Space
from modelwright.storage import Storage, open_existing, open_storage
from modelwright.storage.base import StudyRecord
from modelwright.study.asking import AskedTrials
from modelwright.study.proposing import Proposer
from modelwright.study.results import TrialResult, to_dataframe
from modelwright.study.trial import RunningTrial
from modelwright.study.view import LedgerView

if TYPE_CHECKING:
    import pandas as pd

    from modelwright.execution.base import Executor
    from modelwright.study.callbacks import Callback

__all__ = ["Study"]


class Study:
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
    optimizer : str or Component, default="tpe"
        Who proposes: a name, ``"path/to/file.py:Class"``, or a Component with options.
    scheduler : str or Component, optional
        Who stops trials early, such as ``"median"``.
    deterministic : bool, default=False
        Equal configurations give equal values: none is proposed twice, and a finite space ends.
    reproducible : bool, default=False
        Lock-step: the same trials whatever the timing, the number of processes and interruptions.
    load_if_exists : bool, default=False
        Go on with the study of that name instead of refusing.
    lease_s : float, default=60
        How long the ledger keeps a trial for a worker that has fallen silent.
    max_attempts : int, default=3
        How often a trial is tried again when its worker is lost.
    folder : str or Path, optional
        Where trials keep files and output. Beside a SQLite file by default; none for memory.
    user_attrs : mapping, optional
        JSON values to keep with the study.

    Raises
    ------
    StudyExistsError
        The name is taken, or the study of that name has another space or other objectives.

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
        optimizer: str | Component = "tpe",
        scheduler: str | Component | None = None,
        deterministic: bool = False,
        reproducible: bool = False,
        load_if_exists: bool = False,
        lease_s: float = 60.0,
        max_attempts: int = 3,
        priority: int = 1,
        folder: str | Path | None = None,
        user_attrs: Mapping[str, Any] | None = None,
        description: str = "",
        dataset_id: int | None = None,
        search: SearchSettings | None = None,
    ) -> None:
        space = Space() if space is None else space
        if not isinstance(space, Space):
            raise InputError(f"expected a Space, got {type(space).__name__}. Write Space(x=Float(0, 1)).")
        space.ensure_feasible()
        spec = StudySpec(
            name=name if name is not None else f"study-{uuid.uuid4().hex[:8]}",
            space=space,
            objectives=_objectives(direction, directions),
            optimizer=_component(optimizer),
            scheduler=None if scheduler in (None, "none") else _component(scheduler),
            seed=_checked_seed(seed),
            deterministic=deterministic,
            reproducible=reproducible,
            lease_s=lease_s,
            max_attempts=max_attempts,
            priority=priority,
            description=description,
            dataset_id=dataset_id,
            search=search or SearchSettings(),
        )
        _check_parts(spec)
        opened = _opened(storage)
        try:
            record = opened.create_study(spec)
        except StudyExistsError:
            if not load_if_exists:
                raise
            record = opened.study(spec.name)
            _check_same(record, spec)
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
        opened = open_existing(storage) if isinstance(storage, str | Path) else storage
        record = opened.study(name)
        if space is not None and space.to_json() != record.spec.space.to_json():
            raise InputError(f"the study {name!r} has another space than the one that was given.")
        study = cls.__new__(cls)
        study._open(opened, record, space or record.spec.space, folder)
        return study

    def _open(self, storage: Storage, record: StudyRecord, space: Space, folder: str | Path | None) -> None:
        self._storage = storage
        self._folder = Path(folder) if folder is not None else _default_folder(storage, record)
        self._view = LedgerView(storage, record, space)
        self._proposer = Proposer(storage, self._view, space)
        self._asked = AskedTrials(storage, self._view, self._proposer)
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
        preload: Sequence[str] = (),
    ) -> Study:
        """Evaluate `function` until the budget is used up.

        Running the same line again, in this process or another, goes on where the ledger stands.

        Parameters
        ----------
        function : callable
            Called with a `RunningTrial`; returns a float, or one value per objective.
        trials : int, optional
            How many trials the study shall have in all, those of earlier runs included.
        more : int, optional
            How many trials to add to what there is; instead of `trials`.
        timeout : float, optional
            Seconds for this run. Trials that still run then are ended and kept for the next run; with
            ``executor="inline"`` a running objective cannot be ended.
        parallel : int, default=1
            How many trials run at a time.
        executor : {"local", "thread", "inline"} or Executor, default="local"
            Where trials run: a fresh process each, threads, or this very call.
        catch : tuple of exception types, default=(BaseException,)
            What an objective may raise without ending the run. The trial fails in any case.
        callbacks : sequence, optional
            Functions ``f(study, trial)``, called when a trial is over, or `Callback` objects.
        trial_timeout, trial_memory_mb : float, optional
            Hard limits of each trial with ``executor="local"``: seconds, and megabytes of its whole process
            tree.
        preload : sequence of str, optional
            Modules that trials need, imported once before them (``executor="local"``).

        Returns
        -------
        Study
            This study.

        Raises
        ------
        InputError
            The budget, the function or a setting makes no sense.
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
            preload=preload,
        )
        return self

    def stop(self) -> None:
        """End the present run once its running trials are over; callable from a callback or a thread."""
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
        self._asked.tell(number, values, _trial_state(state))
        self._view.refresh()
        return self.result(self._view.trials[number])

    def enqueue(self, params: Mapping[str, Any], user_attrs: Mapping[str, Any] | None = None) -> int:
        """Add a configuration to be tried next, and return its trial's number.

        Raises
        ------
        ConfigurationError
            It does not belong to the space; the message names the parameter.
        """
        checked = self.space.check(dict(params))
        return self._storage.enqueue(self._view.record.id, self.space.dump(checked), dict(user_attrs or {}))

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
        return [self.result(trial) for _, trial in sorted(self._view.trials.items())]

    @property
    def best_trial(self) -> TrialResult:
        """The complete trial with the best value.

        Raises
        ------
        StudyStateError
            No trial is complete, or there are several objectives (see `best_trials`).
        """
        from modelwright.analysis.best import best_trial

        if len(self.objectives) > 1:
            raise StudyStateError(
                "the study has several objectives, so no single best.", hint="Use best_trials."
            )
        self._view.refresh()
        best = best_trial(list(self._view.trials.values()), self.objectives[0])
        if best is None:
            raise StudyStateError(f"no trial of {self.name!r} is complete yet.")
        return self.result(best)

    @property
    def best_trials(self) -> list[TrialResult]:
        """The complete trials that no other beats in every objective, by number."""
        from modelwright.analysis.best import pareto_trials

        self._view.refresh()
        trials = [trial for _, trial in sorted(self._view.trials.items())]
        return [self.result(trial) for trial in pareto_trials(trials, self.objectives)]

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
        return TrialResult.of(trial, self._proposer.full_space())

    def trials_dataframe(self) -> pd.DataFrame:
        """Return one row per trial: number, value, datetimes, duration, params_*, user_attrs_*, state."""
        return to_dataframe(self.trials, [objective.name for objective in self.objectives])

    def close(self) -> None:
        """Give back trials that were asked for and not told, and the storage's connections."""
        self._asked.close()
        self._storage.close()

    def __repr__(self) -> str:
        return f"Study({self.name!r}, storage={self._storage.url!r})"


def _objectives(
    direction: str | None, directions: Sequence[str] | Mapping[str, str] | None
) -> tuple[Objective, ...]:
    if directions is None:
        return (Objective("value", direction or "minimize"),)  # type: ignore[arg-type]
    if direction is not None:
        raise InputError("expected `direction` or `directions`, got both.")
    if isinstance(directions, str):
        raise InputError(f"expected a sequence of directions, got the text {directions!r}.")
    if isinstance(directions, Mapping):
        return tuple(Objective(name, item) for name, item in directions.items())  # type: ignore[arg-type]
    if len(directions) == 1:
        return (Objective("value", directions[0]),)  # type: ignore[arg-type]
    return tuple(Objective(f"value_{i}", item) for i, item in enumerate(directions))  # type: ignore[arg-type]


def _opened(storage: str | Path | Storage | None) -> Storage:
    return open_storage(storage) if storage is None or isinstance(storage, str | Path) else storage


def _check_parts(spec: StudySpec) -> None:
    """Build the optimizer and the scheduler, so that what they cannot do is refused before a study exists."""
    make_optimizer(
        spec.optimizer, spec.space, spec.objectives, deterministic=spec.deterministic, seed=spec.seed
    )
    if spec.scheduler is not None:
        from modelwright.schedulers import make_scheduler

        make_scheduler(spec.scheduler, spec.objectives)


def _trial_state(state: TrialState | str) -> TrialState:
    try:
        return TrialState(str(state).lower())
    except ValueError:
        raise InputError(f"expected the state complete, pruned or failed, got {state!r}.") from None


def _component(value: str | Component | None) -> Component:
    if isinstance(value, Component):
        return value
    if isinstance(value, str):
        return Component(value)
    raise InputError(f"expected a name or a Component, got {type(value).__name__}.")


def _checked_seed(seed: int | None) -> int:
    if seed is None:
        return fresh_seed()
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError(f"expected a seed from 0 to {2**32 - 1}, got {seed!r}.")
    return seed


def _check_same(record: StudyRecord, spec: StudySpec) -> None:
    stored = record.spec
    if len(spec.space) and stored.space.to_json() != spec.space.to_json():
        old, new = set(stored.space.names), set(spec.space.names)
        changed = sorted(old ^ new) or [n for n in spec.space.names if stored.space[n] != spec.space[n]]
        raise StudyExistsError(
            f"the study {spec.name!r} is there with another space; "
            f"different: {', '.join(changed) or 'constraints'}.",
            hint="Use another name, or the same space.",
            code="E_SPEC_CHANGED",
        )
    if stored.objectives != spec.objectives:
        raise StudyExistsError(
            f"the study {spec.name!r} is there with other objectives: "
            f"{[(o.name, o.direction) for o in stored.objectives]}.",
            hint="Use another name, or the same directions.",
            code="E_SPEC_CHANGED",
        )


def _default_folder(storage: Storage, record: StudyRecord) -> Path | None:
    if not storage.url.startswith("sqlite:///"):
        return None
    path = Path(storage.url.removeprefix("sqlite:///").partition("?")[0])
    # A name may be anything, and a folder's may not: "..", for one, would lead out of it.
    name = re.sub(r"[^\w=+-]+", "-", record.spec.name)[:60].strip("-")
    return path.with_suffix(".files") / f"{name}-{record.id}"

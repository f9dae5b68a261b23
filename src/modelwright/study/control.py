"""The verbs by which people steer a study, whoever runs it.

Each is a write to the ledger that everybody obeys, names who asked in its event, and answers with what
results. All may be repeated without a further effect; those that add a trial take a request id for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelwright.errors import ConfigurationError, InputError, StudyStateError
from modelwright.records import Budget, StudyState, Trial
from modelwright.space import Space
from modelwright.storage.base import KEEP, Keep, Storage, StudyRecord
from modelwright.study.budgets import is_over
from modelwright.study.results import TrialResult
from modelwright.study.spaces import SpaceVersions, check_change
from modelwright.study.who import this_user

if TYPE_CHECKING:
    from modelwright.study.proposing import Proposer
    from modelwright.study.view import LedgerView

__all__ = ["StudyControl"]

_ENDED = (StudyState.COMPLETE, StudyState.FAILED)
_MOST_TURNS = 20  # how often somebody else may be quicker
_AFTER_ALL = 2**53  # a revision that no study ever has, and that goes through a request to a server


class StudyControl:
    """What `Study` offers to steer it: state, budget, priority, name, space and single trials."""

    _storage: Storage
    _view: LedgerView
    _proposer: Proposer
    _read_spaces: SpaceVersions
    _stop: Callable[[str], None] | None

    # the study ---------------------------------------------------------------------------------------

    def pause(self, *, now: bool = False) -> StudyRecord:
        """Start no more trials, in any process, until `resume`.

        Parameters
        ----------
        now : bool, default=False
            Break off running trials too; they wait for the next run and no attempt is spent. Otherwise they
            end in peace. With ``executor="inline"`` a running objective cannot be broken off.

        Returns
        -------
        StudyRecord
            How the study stands then. One that has ended stays as it is.
        """
        return self._halt(StudyState.PAUSED, now, unless=_ENDED)

    def resume(self) -> StudyRecord:
        """Let a paused or stopped study go on; whoever runs it next takes it up.

        One whose budget is used up stays complete: give it more with `set_budget`.
        """
        record = self._now()
        if record.state in (StudyState.PAUSED, StudyState.FAILED) or self._was_stopped(record):
            record = self._storage.set_state(
                record.id, StudyState.PENDING, expected=record.state, who=this_user()
            )
        return self._noted(record)

    def stop(self, *, now: bool = False) -> StudyRecord:
        """End the study, in all processes: it is complete, with what it has. `resume` opens it again.

        To end only the run of this object, use `stop_run`.

        Parameters
        ----------
        now : bool, default=False
            Break off running trials too, as in `pause`.
        """
        return self._halt(StudyState.COMPLETE, now, unless=())

    def set_budget(
        self,
        trials: int | Keep | None = KEEP,
        *,
        time_s: float | Keep | None = KEEP,
        deadline: datetime | Keep | None = KEEP,
        cost: float | Keep | None = KEEP,
        parallel: int | Keep | None = KEEP,
    ) -> StudyRecord:
        """Change what the study may spend, all runs and workers together; what is not named stays.

        A complete study whose budget grows goes on with the next run.

        Parameters
        ----------
        trials : int, optional
            Trials in all; None for no limit.
        time_s : float, optional
            Seconds since the study first ran.
        deadline : datetime, optional
            The moment after which no trial starts; local time if it names no zone.
        cost : float, optional
            What all attempts may cost together: seconds of their run time, unless results name a cost.
            The study ends with the attempt that crosses it.
        parallel : int, optional
            Trials that may run at a time, whoever runs them.
        """
        moment = deadline if isinstance(deadline, Keep) or deadline is None else _moment_us(deadline)
        named: dict[str, Any] = {"trials": trials, "time_s": time_s, "cost": cost, "parallel": parallel}
        Budget(**{name: value for name, value in named.items() if not isinstance(value, Keep)})  # checks them
        record = self._storage.set_budget(
            self._view.record.id,
            trials,
            time_s=time_s,
            deadline_us=moment,
            cost=cost,
            parallel=parallel,
            who=this_user(),
        )
        return self._noted(record)

    def set_priority(self, priority: int) -> StudyRecord:
        """Set how urgent the study is: workers take studies of the highest priority first."""
        if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) >= 2**31:
            raise InputError(f"expected a whole number as the priority, got {priority!r}.")
        return self._noted(self._storage.set_priority(self._view.record.id, priority, who=this_user()))

    def rename(self, name: str) -> StudyRecord:
        """Give the study another name; its files stay where they are.

        Raises
        ------
        StudyExistsError
            The name is taken.
        """
        record = self._now()
        replace(record.spec, name=name)  # refuses a name that cannot be one
        return self._noted(self._storage.rename_study(record.id, name, who=this_user()))

    def set_space(self, space: Space) -> StudyRecord:
        """Change ranges, choices, conditions or constraints, also while the study runs.

        From the next proposal on configurations come from the new space. Trials that lie within it keep
        teaching the optimizer; the others stay in the ledger and are left out of what it sees. Trials that
        wait run as they are. Parameters can neither come nor go, nor become of another type.

        Parameters
        ----------
        space : Space
            The whole new space, such as ``study.space.with_parameter("lr", Float(1e-6, 1, log=True))``.

        Raises
        ------
        SpaceError
            It has other parameters, or no configuration meets its constraints.
        StudyStateError
            The study is in lock-step mode, whose trials must not depend on the moment of a change.
        """
        if not isinstance(space, Space):
            raise InputError(f"expected a Space, got {type(space).__name__}.")
        space.ensure_feasible()
        form = space.to_json()
        self._check_new_space(space)
        for spaces in (self._view.spaces, self._read_spaces):
            spaces.learn(space)
        for _ in range(_MOST_TURNS):
            record = self._now()
            if Space.from_json(record.space) == space:
                return record
            self._storage.add_space(record.id, form, record.space_version, who=this_user())
        raise StudyStateError("others keep changing this study's space at the same time; try again.")

    # single trials -----------------------------------------------------------------------------------

    def enqueue(
        self,
        params: Mapping[str, Any],
        user_attrs: Mapping[str, Any] | None = None,
        *,
        request_id: str = "",
    ) -> int:
        """Add a configuration to be tried next, and return its trial's number.

        Parameters
        ----------
        params : mapping of str to object
            A value for each parameter that is active.
        user_attrs : mapping, optional
            JSON values to leave on the trial.
        request_id : str, optional
            A name for this request: asked again under the same name, nothing is added.

        Raises
        ------
        ConfigurationError
            It does not belong to the space; the message names the parameter.
        """
        if not isinstance(params, Mapping):
            raise ConfigurationError(
                f"expected a mapping of parameter names to values, got {params!r:.100}.",
                hint='Give names with the values, such as {"x": 0.5}.',
                code="E_POINT",
            )
        space = self._spaces().newest
        stored = space.dump(space.check(dict(params)))
        return self._storage.enqueue(
            self._view.record.id, stored, dict(user_attrs or {}), request_id=request_id, who=this_user()
        )

    def enqueue_like(self, number: int, *, request_id: str = "", **changes: Any) -> TrialResult:
        """Add the configuration of a trial with some values changed, and return the new trial.

        Parameters that the changes make inactive are left out; those that they make active need a value.
        """
        like = self._trial(number)
        if like.params is None:
            raise StudyStateError(f"trial {number} never had a configuration.")
        spaces = self._spaces()
        space, params = spaces.newest, {**spaces.load(like.params), **changes}
        # What is wrong with a value is for the check in `enqueue` to say.
        active = space.active({n: v for n, v in params.items() if n in space and _is_value(space, n, v)})
        kept = {n: v for n, v in params.items() if n in changes or n in active}
        return self.trial(self.enqueue(kept, {"like": number}, request_id=request_id))

    def retry(self, number: int) -> TrialResult:
        """Try the configuration of a finished trial again, as a new trial, and return that.

        Asked twice, it is one trial; what a finished trial says never changes.

        Raises
        ------
        StudyStateError
            The trial is not finished, or never had a configuration.
        ConfigurationError
            Its configuration lies outside of the study's present space.
        """
        trial = self._trial(number)
        if not trial.state.finished or trial.params is None:
            why = "never had a configuration" if trial.state.finished else f"is {trial.state.value}"
            raise StudyStateError(f"expected a finished trial to try again, but trial {number} {why}.")
        if not self._spaces().fits(trial.params):
            raise ConfigurationError(
                f"the configuration of trial {number} lies outside of the study's present space.",
                hint="Change it with enqueue_like.",
            )
        attrs = {"retry_of": number}
        added = self._storage.enqueue(
            self._view.record.id, trial.params, attrs, request_id=f"retry-{number}", who=this_user()
        )
        return self.trial(added)

    def kill(self, number: int) -> TrialResult:
        """End a trial as failed with the kind ``killed``, and return how it stands.

        One that waits ends at once; one that runs is ended by its worker within seconds, and with
        ``executor="inline"`` not at all; one that is finished stays as it is.
        """
        self._trial(number)
        self._storage.kill(self._view.record.id, number, who=this_user())
        return self.trial(number)

    def trial(self, number: int) -> TrialResult:
        """Return one trial as it is now.

        Raises
        ------
        InputError
            There is none of that number.
        """
        return TrialResult(self._trial(number), self._spaces())

    # helpers: none of them reads all trials, and none moves what a run in another thread proposes from --

    def _halt(self, state: StudyState, now: bool, unless: tuple[StudyState, ...]) -> StudyRecord:
        record = self._now()
        for _ in range(_MOST_TURNS):
            done = record.state is state and (record.abort or not now)
            if done or record.state in unless:
                break
            record = self._storage.set_state(
                record.id, state, expected=record.state, abort=now, who=this_user()
            )
        if self._stop is not None and record.state is state:  # our own run need not wait to hear of it
            self._stop("paused" if state is StudyState.PAUSED else "stopped")
        return self._noted(record)

    def _was_stopped(self, record: StudyRecord) -> bool:
        """Whether the study is complete though its budget is not used up."""
        counts = self._storage.counts(record.id)
        unfinished = sum(count for state, count in counts.items() if not state.finished)
        return record.state is StudyState.COMPLETE and not is_over(record, unfinished, record.ended_us or 0)

    def _now(self) -> StudyRecord:
        return self._storage.changes(self._view.record.id, _AFTER_ALL).study

    def _noted(self, record: StudyRecord) -> StudyRecord:
        if record.space_version == self._view.record.space_version:
            self._view.record = record
        return record

    def _spaces(self) -> SpaceVersions:
        self._read_spaces.update(self._now())
        return self._read_spaces

    def _trial(self, number: int) -> Trial:
        record = self._now()
        try:
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < record.issued:
                raise KeyError(number)
            return self._storage.trial(record.id, number)
        except KeyError:
            known = f"numbered from 0 to {record.issued - 1}" if record.issued else "still to come"
            raise InputError(
                f"the study {record.spec.name!r} has no trial {number!r}.",
                hint=f"Its trials are {known}.",
                code="E_NO_TRIAL",
            ) from None

    def _check_new_space(self, space: Space) -> None:
        record = self._now()
        if record.spec.reproducible:
            raise StudyStateError(
                "the space of a study in lock-step mode cannot change: its trials must not depend on the "
                "moment of a change.",
                hint="Make another study.",
            )
        if self._storage.partitions(record.id):
            raise StudyStateError(
                "the space of a search over methods is made of the methods and cannot be changed.",
                hint="Run `modelwright fit` with other --methods and --new.",
            )
        check_change(self._spaces().newest, space)
        self._proposer.check(space)


def _is_value(space: Space, name: str, value: Any) -> bool:
    try:
        space[name].normal(value)
    except ValueError:
        return False
    return True


def _moment_us(moment: datetime) -> int:
    if not isinstance(moment, datetime):
        raise InputError(f"expected a datetime as the deadline, got {type(moment).__name__}.")
    return int(moment.timestamp() * 1e6)

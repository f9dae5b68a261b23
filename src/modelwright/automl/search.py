"""The search over partitions: a selector picks the method and its categories, a tuner the numbers.

Each partition keeps a history of its own, in which a tuner (any optimizer) sees nothing but the partition's
numbers. All that is kept between calls follows from the study's history, so a search that is built anew goes
on with the same proposals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from modelwright._base.options import accepted_options
from modelwright.automl.methods import Method, load_methods
from modelwright.automl.partitions import MethodPartition, find_partition, joint_space, partitions
from modelwright.automl.portfolio import FirstTry, portfolio
from modelwright.automl.selectors import make_selector
from modelwright.errors import AbilityError, InputError
from modelwright.optimizers import OPTIMIZERS, Abilities, Optimizer, make_optimizer
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Trial, TrialState, Wait
from modelwright.space import Space

__all__ = ["MAX_FAILURES", "PartitionSearch", "relative_scores"]

MAX_FAILURES = 3
"""A partition with more failed trials than this is given up."""


class PartitionSearch:
    """Selector over partitions, tuner within.

    Parameters
    ----------
    space : Space
        The joint space of the methods, as `joint_space` makes it.
    objectives : sequence of Objective
        Exactly one.
    deterministic : bool, default=False
        Propose no configuration twice.
    methods : sequence of str or Method
        Codes, paths of method files, or methods; the defaults of the task where empty.
    task : str, optional
        What is predicted.
    selector : str, default="bestk"
        A name of `SELECTORS`, or ``"path/to/file.py:Class"``.
    tuner : str, default="tpe"
        A name of `OPTIMIZERS`, or ``"path/to/file.py:Class"``.
    k_window : int, default=3
        How many scores selectors with a window look at.
    r_minimum : int, default=2
        Random trials of a partition before its tuner's model is used.
    gridding : int, default=0
        If above 0, each number is limited to that many evenly spaced values.
    portfolio : bool, default=True
        Begin with the configurations that the methods declare.

    Notes
    -----
    Scores for the selector are relative to all trials so far, between 0 and 1: see `relative_scores`. Failed
    trials score 0; running ones count as pulls that earn what their partition earns on average.

    Examples
    --------
    >>> import numpy as np
    >>> methods = load_methods(["dt", "knn"], "binary")
    >>> space = joint_space(methods)
    >>> search = PartitionSearch(space, [Objective("auc", "maximize")], methods=methods, task="binary")
    >>> [proposal] = search.ask(History(space, search.objectives), [Ticket(0, np.random.default_rng(0))])
    >>> proposal.params["method"], proposal.reason
    ('dt', 'portfolio: the first of dt/gini (partition 1)')
    """

    abilities = Abilities()

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        methods: Sequence[str | Method] = (),
        task: str | None = None,
        selector: str = "bestk",
        tuner: str = "tpe",
        k_window: int = 3,
        r_minimum: int = 2,
        gridding: int = 0,
        portfolio: bool = True,
    ) -> None:
        if len(objectives) != 1:
            raise AbilityError(f"the search over partitions takes one objective, got {len(objectives)}.")
        if k_window < 1 or r_minimum < 0 or gridding < 0:
            raise InputError(
                "expected k_window >= 1, r_minimum >= 0 and gridding >= 0, got "
                f"{k_window!r}, {r_minimum!r} and {gridding!r}."
            )
        self.objectives = tuple(objectives)
        self._methods = _as_methods(methods, task)
        if space != joint_space(self._methods):
            names = ", ".join(method.name for method in self._methods)
            raise AbilityError(f"expected the joint space of the methods {names}; got another space.")
        self._space = space
        self._parts = partitions(self._methods)
        self._gridding = gridding
        self._deterministic = deterministic or gridding > 0
        self._tuner, self._tuner_options = tuner, _tuner_options(tuner, r_minimum)
        self._first = _first_tries(self._methods, self._parts) if portfolio else []
        self._selector_name = selector
        self._k_window = k_window
        self._make_selector(range(len(self._parts)))  # a name that is not known is refused at once
        self._start(None)

    def __repr__(self) -> str:
        return f"PartitionSearch({self._selector_name!r}, {self._tuner!r}, {len(self._parts)} partitions)"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        self._catch_up(history)
        proposals: list[Proposal] = []
        for ticket in tickets:
            answer = self._next_first() or self._select(ticket)
            if not isinstance(answer, Proposal):
                return proposals or answer
            proposals.append(answer)
        return proposals

    def statuses(self, history: History) -> list[str]:
        """Return the status of each partition: ``incomplete``, ``gridding_done`` or ``errored``."""
        self._catch_up(history)
        return [arm.status for arm in self._arms]

    # what is known -----------------------------------------------------------------------------------

    def _start(self, history: History | None) -> None:
        self._history, self._rows = history, 0
        self._tried: set[str] = set()
        self._arms = [self._arm(part) for part in self._parts]

    def _arm(self, part: MethodPartition) -> _Arm:
        searched = part.gridded(self._gridding) if self._gridding else part
        once = not len(part.tunables)
        tuner = make_optimizer(
            self._tuner,
            searched.tunables,
            self.objectives,
            deterministic=self._deterministic or once,
            **self._tuner_options,
        )
        return _Arm(searched, tuner, self.objectives, finite=self._deterministic or once)

    def _catch_up(self, history: History) -> None:
        """Pass what is new in `history` on to the partitions."""
        if history is not self._history or len(history) < self._rows:
            self._start(history)
        for row in range(self._rows, len(history)):
            trial, config = history.trials[row], history.configs[row]
            if trial.failure is None or trial.failure.kind.teaches:
                self._tried.add(self._space.key(config))
            self._arms[find_partition(self._parts, config).index].add(trial, config)
        self._rows = len(history)
        self._busy = {self._space.key(config) for config in history.pending}
        running: list[list[tuple[int, Mapping[str, Any]]]] = [[] for _ in self._arms]
        for number, config in zip(history.pending_numbers, history.pending, strict=True):
            running[find_partition(self._parts, config).index].append((number, config))
        for arm, own in zip(self._arms, running, strict=True):
            arm.set_pending(own)

    # the portfolio -----------------------------------------------------------------------------------

    def _next_first(self) -> Proposal | None:
        for first, config, key in self._first:
            arm = self._arms[first.partition.index]
            if key not in self._tried and key not in self._busy and arm.status == "incomplete":
                reason = f"portfolio: the {_ORDINALS[min(first.round, 4) - 1]} of {_named(first.partition)}"
                return self._take(arm, config, reason, None)
        return None

    # selector and tuner ------------------------------------------------------------------------------

    def _select(self, ticket: Ticket) -> Proposal | Wait | Exhausted:
        waiting = ""
        refused: set[int] = set()
        while True:
            arms = {arm.part.index: arm for arm in self._arms if arm.open and arm.part.index not in refused}
            if not arms:
                return Wait(waiting or "the last configurations still run") if self._hopes else self._over()
            chosen = self._make_selector(list(arms)).select(self._scores(arms), ticket.rng)
            arm = arms[chosen]
            answer = arm.ask(ticket)
            if isinstance(answer, Proposal):
                reason = f"{self._selector_name} chose {_named(arm.part)}, {self._tuner}: {answer.reason}"
                return self._take(arm, arm.part.configuration(answer.params), reason, ticket.number)
            waiting = answer.reason if isinstance(answer, Wait) else waiting
            refused.add(arm.part.index)

    @property
    def _hopes(self) -> bool:
        """Whether some trial still runs whose end may open a partition again."""
        return bool(self._busy)

    def _over(self) -> Exhausted:
        given_up = sum(arm.status == "errored" for arm in self._arms)
        note = f", {given_up} of them given up after more than {MAX_FAILURES} failures" if given_up else ""
        return Exhausted(f"all {len(self._arms)} partitions are done{note}")

    def _make_selector(self, choices: Sequence[int]) -> Any:
        by_method: dict[str, list[int]] = {}
        for index in choices:
            by_method.setdefault(self._parts[index].method.name, []).append(index)
        return make_selector(self._selector_name, list(choices), k=self._k_window, by_method=by_method)

    def _scores(self, arms: Mapping[int, _Arm]) -> dict[int, list[float]]:
        relative = iter(relative_scores([loss for arm in self._arms for loss in arm.losses]).tolist())
        of_arm = {arm.part.index: [next(relative) for _ in arm.losses] for arm in self._arms}
        scores = {}
        for index, arm in arms.items():
            own = of_arm[index]
            scores[index] = own + [float(np.mean(own)) if own else 0.0] * arm.n_pending
        return scores

    def _take(self, arm: _Arm, config: dict[str, Any], reason: str, number: int | None) -> Proposal:
        """Hold a configuration until the next `ask`, so that the proposals of one call differ."""
        self._busy.add(self._space.key(config))
        arm.hold(config, number)
        return Proposal(config, reason, partition=arm.part.index)


class _Arm:
    """One partition with its own history and tuner."""

    def __init__(
        self, part: MethodPartition, tuner: Optimizer, objectives: Sequence[Objective], *, finite: bool
    ) -> None:
        self.part = part
        self.losses: list[float] = []  # NaN where a trial failed
        self.n_pending = 0
        self._tuner = tuner
        self._history = History(part.tunables, objectives)
        self._sign = objectives[0].sign
        self._finite = finite
        self._failures = 0
        self._used: set[str] = set()
        self._held: list[tuple[int, dict[str, Any]]] = []

    def add(self, trial: Trial, config: Mapping[str, Any]) -> None:
        """Take in a finished trial."""
        numbers = self._numbers(config)
        self._history.add([replace(trial, params=numbers)])
        if trial.failure is not None and not trial.failure.kind.teaches:
            return
        self._used.add(self.part.tunables.key(numbers))
        failed = trial.state is TrialState.FAILED
        self._failures += failed
        self.losses.append(trial.values[0] * self._sign if trial.values else np.nan)

    def set_pending(self, running: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        """Replace the running trials."""
        self._held = [(number, self._numbers(config)) for number, config in running]
        self._show_held()

    def hold(self, config: Mapping[str, Any], number: int | None) -> None:
        """Count a proposal as running."""
        after_all = max((held for held, _ in self._held), default=-1) + 1
        self._held.append((after_all if number is None else number, self._numbers(config)))
        self._show_held()

    def ask(self, ticket: Ticket) -> Proposal | Wait | Exhausted:
        """Return the tuner's proposal in the partition's own numbers."""
        answer = self._tuner.ask(self._history, [ticket])
        return answer[0] if isinstance(answer, list) else answer

    @property
    def open(self) -> bool:
        """Whether there is something to propose now."""
        return self.status == "incomplete" and not self._is_full(self._used | self._held_keys())

    @property
    def status(self) -> str:
        """As the ledger names it."""
        if self._failures > MAX_FAILURES:
            return "errored"
        return "gridding_done" if self._is_full(self._used) else "incomplete"

    def _is_full(self, used: set[str]) -> bool:
        size = self.part.tunables.size
        return self._finite and size is not None and len(used) >= size

    def _held_keys(self) -> set[str]:
        return {self.part.tunables.key(numbers) for _, numbers in self._held}

    def _numbers(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return self.part.numbers(config)

    def _show_held(self) -> None:
        self.n_pending = len(self._held)
        self._history.set_pending(self._held)


_ORDINALS = ("first", "second", "third", "next")


def relative_scores(losses: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return scores between 0 and 1 from losses of any scale.

    1 is the best loss so far and 0 the upper quartile or worse, so that one terrible trial does not make all
    others look alike. NaN, a failed trial, is 0.

    Examples
    --------
    >>> relative_scores([10.0, 20.0, 12.0, 1e9, float("nan"), 11.0]).round(2).tolist()
    [1.0, 0.0, 0.8, 0.0, 0.0, 0.9]
    """
    values = np.asarray(losses, dtype=float)
    known = values[np.isfinite(values)]
    scores = np.zeros(len(values))
    if not len(known):
        return scores
    best, poor = float(known.min()), float(np.quantile(known, 0.75, method="nearest"))
    width = poor - best
    finite = np.isfinite(values)
    scores[finite] = (
        np.clip((poor - values[finite]) / width, 0.0, 1.0) if width > 0 else values[finite] <= best
    )
    return scores


def _as_methods(given: Sequence[str | Method], task: str | None) -> list[Method]:
    ready = [item for item in given if isinstance(item, Method)]
    if ready and len(ready) == len(given):
        return ready
    return load_methods([str(item) for item in given] or None, task)


def _first_tries(
    methods: Sequence[Method], parts: Sequence[MethodPartition]
) -> list[tuple[FirstTry, dict[str, Any], str]]:
    space = joint_space(methods)
    tries = portfolio(methods, parts)
    configs = [first.partition.configuration(first.numbers) for first in tries]
    return [(first, config, space.key(config)) for first, config in zip(tries, configs, strict=True)]


def _tuner_options(tuner: str, r_minimum: int) -> dict[str, Any]:
    """Return what says "at random at first" in the tuner's own words."""
    known = accepted_options(OPTIMIZERS.get(tuner)) or set()
    name = next((name for name in ("r_minimum", "n_startup") if name in known), None)
    return {} if name is None else {name: r_minimum}


def _named(part: MethodPartition) -> str:
    return f"{part.label} (partition {part.index})"

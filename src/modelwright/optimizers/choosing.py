"""Which optimizer fits what is known of a study: a list of rules, read from the top.

A rule sees facts that every process that knows the same results agrees on, and no clock: how long trials
take differs from run to run, and a study that depended on it could not be repeated. So the cost of proposing
is bounded beforehand, by the number of rows and features that a model gets.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Choice", "Facts", "choose"]

_MOST_OBJECTIVES = 4  # by hypervolume; with more, almost every trial is on the front
MODELLED = 300  # rows of a Gaussian process: to find its hyperparameters takes about 0.2 s then
_MOST_WORK = 2e6  # rows^2 x features of it
_MOST_CROWDED = 3  # running trials for each that has ended
_USE_OUTCOMES = ("gp", "tpe")  # of outcome constraints
_STALE = 30  # trials without an improvement, or more where the history is long
_STALE_SHARE = 0.3


@dataclass(frozen=True)
class Facts:
    """What a choice depends on.

    Attributes
    ----------
    objectives, parameters : int
        How many there are.
    constrained : bool
        There are outcome constraints.
    features : int
        Columns of a kernel: one for each number, one for each choice of a parameter.
    finished, running : int
        Trials that came to a value, and trials that run.
    stale : int
        Trials since the best value was last improved by much.
    number : int
        Of the trial to be proposed.
    """

    objectives: int
    constrained: bool
    parameters: int
    features: int
    finished: int
    running: int
    stale: int
    number: int


@dataclass(frozen=True)
class Choice:
    """An optimizer's name, and why it was chosen."""

    name: str
    why: str


def choose(facts: Facts) -> Choice:
    """Return what is to propose the next trial.

    Examples
    --------
    >>> choose(Facts(1, False, 5, 5, finished=20, running=1, stale=0, number=21))
    Choice(name='gp', why='few trials')
    >>> choose(Facts(1, False, 500, 500, finished=200, running=1, stale=0, number=202)).name
    'tpe'
    """
    if not facts.parameters:
        return Choice("random", "nothing to choose")
    if facts.running > _MOST_CROWDED * max(facts.finished, 1) and facts.running > 20:
        return Choice("quasirandom", f"{facts.running} run and {facts.finished} ended")
    if facts.objectives > _MOST_OBJECTIVES:
        return _alternate(facts, ("nsga2", "tpe"), f"{facts.objectives} objectives")
    rows = facts.finished + facts.running
    many = f"{rows} trials of {facts.features} features"
    others = ("tpe", "cmaes") if facts.objectives == 1 else ("tpe", "nsga2")
    if min(rows, MODELLED) ** 2 * facts.features * facts.objectives > _MOST_WORK:
        return _alternate(facts, others, many)
    if rows > MODELLED:
        return _alternate(facts, ("gp", others[0], "gp", others[1]), many)
    if facts.stale >= max(_STALE, _STALE_SHARE * facts.finished) and facts.number % 4 == 3:
        helpers = ("tpe", "forest" if facts.objectives == 1 else "nsga2")
        return _alternate(facts, helpers, f"{facts.stale} trials brought little", 4)
    return Choice("gp", "few trials")


def _alternate(facts: Facts, names: tuple[str, ...], why: str, each: int = 1) -> Choice:
    """Return one of several by the trial's number: no single one is best everywhere."""
    if facts.constrained:
        names = tuple(name for name in names if name in _USE_OUTCOMES)
    return Choice(names[facts.number // each % len(names)], why)

"""Which parameters matter: for the value, for the duration, for getting into the best share.

F. Hutter, H. Hoos and K. Leyton-Brown, "An efficient approach for assessing hyperparameter importance",
ICML 2014 (fANOVA); L. Breiman, "Random forests", Machine Learning 45, 2001 (permutation); A. Biedenkapp,
J. Marben, M. Lindauer and F. Hutter, "CAVE", LION 2018 (importance within the good part).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.analysis.inputs import inputs_of
from modelwright.analysis.searched import Found, Searched, found_by
from modelwright.analysis.surrogate import Surrogate, fit_surrogate
from modelwright.errors import InputError
from modelwright.numerics.fanova import explained
from modelwright.records import Trial

__all__ = ["Importances", "importances"]

Floats = NDArray[np.float64]
Target = str | Callable[[Trial], float]
Method = Literal["fanova", "permutation"]

_FEWEST = 8
_SHUFFLES = 10
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Importances:
    """How much of what was measured goes back to each parameter.

    Attributes
    ----------
    shares : tuple of (str, float)
        Parameters and their shares of the variance, the largest first.
    together : float
        With ``"fanova"`` the share that no parameter explains alone: only several together do. With
        ``"permutation"`` 0, since each share there contains what the parameter does with others.
    r2 : float
        How well the model behind the shares tells trials that it has not seen: at most 1. Near 0 there is
        nothing to be told yet, and the shares mean little.
    trials : int
        From how many.
    target, method : str
        What was asked for.
    region : float, optional
        The best share that was looked at.
    """

    shares: tuple[tuple[str, float], ...]
    together: float
    r2: float
    trials: int
    target: str
    method: Method
    region: float | None = None


def importances(
    searched: Searched,
    target: Target = "value",
    method: Method = "fanova",
    region: float | None = None,
) -> Importances:
    """Return which parameters matter.

    Parameters
    ----------
    searched : Study or History
        Its complete trials count.
    target : str or callable, default="value"
        ``"value"``, ``"duration"`` in seconds, the name of an objective, or a function from a trial to a
        number of which less is better.
    method : {"fanova", "permutation"}, default="fanova"
        ``"fanova"``: the share of the variance over the whole space that the parameter explains alone.
        ``"permutation"``: the share of the variance over the trials that goes when the model is given the
        parameter's values in a random order; contains what the parameter does together with others.
    region : float, optional
        A share such as 0.25: what matters around the best 25 %, in the part of the space that they span.
        What is worse there counts as just not among them.

    Raises
    ------
    InputError
        There are fewer than 8 trials to learn from (with `region` there), or an argument makes no sense.

    Notes
    -----
    A model of trees is fitted to the trials, always the same one to the same trials. A parameter that is
    inactive has a value of its own in it. The share of such a parameter is what it moves where it is active;
    the step from inactive to active counts for its parent.

    Examples
    --------
    >>> from modelwright.records import History, Objective, TrialState
    >>> from modelwright.space import Float, Space
    >>> history = History(Space(x=Float(0, 1), y=Float(0, 1)), [Objective()])
    >>> configs = history.space.sample_many(np.random.default_rng(0), 60)
    >>> history.add(Trial(k, TrialState.COMPLETE, c, (3 * c["x"] + c["y"],)) for k, c in enumerate(configs))
    >>> [name for name, share in importances(history).shares]
    ['x', 'y']
    """
    _check(method, region)
    found = found_by(searched)
    name, measured = _measured(searched, found, target)
    rows = np.flatnonzero(~np.isnan(measured))
    _check_enough(len(rows), f"for {name}")
    X, y = found.X[rows], _scaled(measured[rows], region)
    inputs = inputs_of(found.space)
    if not inputs.names:
        return Importances((), 0.0, 0.0, len(rows), name, method, region)
    if region is not None:
        inputs = inputs.around(X[np.argsort(measured[rows], kind="stable")[: ceil(region * len(rows))]])
        inside = inputs.holds(X)
        X, y, rows = X[inside], y[inside], rows[inside]
        _check_enough(len(rows), f"for {name} around the best {100 * region:g} %")
    surrogate = fit_surrogate(inputs, X, y)
    by_method = {"fanova": _alone, "permutation": _shuffled}[method]
    shares, together = by_method(surrogate, X)
    order = np.argsort(-shares, kind="stable")
    ranked = tuple((inputs.names[j], float(shares[j])) for j in order)
    return Importances(ranked, together, surrogate.r2, len(rows), name, method, region)


def _check(method: str, region: float | None) -> None:
    if method not in ("fanova", "permutation"):
        raise InputError(f"expected the method 'fanova' or 'permutation', got {method!r}.")
    if region is not None and not 0 < region < 1:
        raise InputError(
            f"expected a region between 0 and 1, got {region!r}.", hint="0.25 stands for the best 25 %."
        )


def _check_enough(trials: int, what: str) -> None:
    if trials < _FEWEST:
        raise InputError(
            f"expected at least {_FEWEST} complete trials to tell which parameters matter {what}, "
            f"got {trials}.",
            hint="Run more trials first.",
        )


def _measured(searched: Searched, found: Found, target: Target) -> tuple[str, Floats]:
    """Return the name of the target and its losses, shape (n,), NaN where there is none."""
    if callable(target):
        values = [float(target(trial)) for trial in found.trials]
        return getattr(target, "__name__", "target"), np.array(values, dtype=float)
    names = [objective.name for objective in searched.objectives]
    if target in names:
        return target, found.losses[:, names.index(target)]
    if target == "value" and len(names) == 1:
        return names[0], found.losses[:, 0]
    if target == "duration":
        values = [np.nan if t.duration_s is None else t.duration_s for t in found.trials]
        return target, np.array(values, dtype=float)
    raise InputError(
        f"expected 'duration', a function or an objective as the target, got {target!r}.",
        hint=f"The objectives are {', '.join(map(repr, names))}.",
    )


def _scaled(losses: Floats, region: float | None) -> Floats:
    """Return losses within [-1, 1]; what is infinite is as the worst or best that is finite."""
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return np.zeros(len(losses))
    worst = finite.max() if region is None else np.quantile(losses, region, method="higher")
    losses = np.clip(losses, finite.min(), min(worst, finite.max()))
    return np.asarray(losses / max(np.abs(losses).max(), np.finfo(float).tiny))


def _alone(surrogate: Surrogate, X: Floats) -> tuple[Floats, float]:
    alone, total = explained(surrogate.trees, surrogate.inputs.axes, surrogate.inputs.regimes)
    if total <= 0.0:
        return np.zeros(len(alone)), 0.0
    shares = np.where(alone > _ROUNDING * total, alone / total, 0.0)
    return shares, max(0.0, 1.0 - float(shares.sum()))


def _shuffled(surrogate: Surrogate, X: Floats) -> tuple[Floats, float]:
    """Return half the mean squared change when values move among the trials that have the parameter."""
    Z, axes = surrogate.inputs(X), surrogate.inputs.axes
    told = surrogate.predict(Z)
    variance = float(np.var(told))
    shares = np.zeros(len(axes))
    if variance <= 0.0:
        return shares, 0.0
    rng = generator(0, "shuffles")
    for j, axis in enumerate(axes):
        columns = list(axis.columns)
        if not any(np.isin(columns, tree.feature).any() for tree in surrogate.trees):
            continue
        have = np.flatnonzero(Z[:, columns[0]] >= 0.0 if len(columns) == 1 else Z[:, columns].any(axis=1))
        for _ in range(_SHUFFLES):
            moved = Z.copy()
            moved[have[:, None], columns] = Z[rng.permutation(have)[:, None], columns]
            shares[j] += np.mean((surrogate.predict(moved) - told) ** 2) / (2 * variance * _SHUFFLES)
    return shares, 0.0

"""How rows are set apart to judge models: holdout and cross-validation, stratified, from a seed.

*Classes.* Rows are put in order of class, at random within a class, and dealt to the folds like cards. So the
parts of a class in two folds differ by one row at most, and so do the sizes of the folds. A class with fewer
rows than folds lies in as many folds as it has rows; since no fold then holds all of them, every training
part keeps each class of two rows or more. The only row of a class is always in training: no model could be
judged on a class that it has never seen.

*Values.* Rows are put in order of the target, and each run of as many rows as there are folds is dealt one to
each fold in a random order: every fold sees the same spread of targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.automl.data.findings import Finding
from modelwright.errors import DataError, InputError

__all__ = ["Plan", "Rows", "choose_plan", "plan", "split_holdout"]

Rows = NDArray[np.int64]

_FEW_ROWS, _MANY_ROWS = 2_000, 20_000
# About what one core fits of a boosted model in a second, in cells; a search wants ten trials at the least.
_CELLS_PER_SECOND, _TRIALS = 400_000, 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How to resample: the settings of `plan`, as `choose_plan` gives them."""

    strategy: Literal["cv", "holdout"]
    folds: int = 5
    repeats: int = 1
    fraction: float = 1 / 3

    def splits(
        self, task: str, y: NDArray[Any], seed: int, *, findings: list[Finding] | None = None
    ) -> list[tuple[Rows, Rows]]:
        """Return the pairs (training rows, validation rows) for `y`."""
        return plan(
            task,
            y,
            strategy=self.strategy,
            folds=self.folds,
            repeats=self.repeats,
            fraction=self.fraction,
            seed=seed,
            findings=findings,
        )


def choose_plan(n_rows: int, n_features: int, time_s: float | None, task: str) -> Plan:
    """Choose how to resample a table in the time at hand.

    Below 2,000 rows 8 folds: scores of small tables are noisy, a model on 7/8 of the rows is close to one on
    all, and the mean of eight models is an ensemble already. Up to 20,000 rows 5 folds. Above, a holdout of a
    quarter: its score is exact enough, and one fit instead of five is five times the trials. Where the time
    allows fewer than about ten trials (wide tables, short budgets) there are fewer folds, or a holdout.

    Examples
    --------
    >>> choose_plan(1_000, 20, 60.0, "binary").folds, choose_plan(10_000, 20, 60.0, "binary").folds
    (8, 5)
    >>> choose_plan(50_000, 20, 60.0, "regression").strategy
    'holdout'
    """
    holdout = Plan("holdout", folds=1, fraction=1 / 3 if n_rows <= _MANY_ROWS else 0.25)
    if n_rows > _MANY_ROWS:
        return holdout
    affordable = float("inf") if time_s is None else time_s * _CELLS_PER_SECOND / _TRIALS
    for folds in (8, 5, 3):
        if (folds < 8 or n_rows < _FEW_ROWS) and n_rows * max(n_features, 1) * folds <= affordable:
            return Plan("cv", folds=folds)
    return holdout


def plan(
    task: str,
    y: NDArray[Any],
    *,
    strategy: str = "cv",
    folds: int = 5,
    repeats: int = 1,
    fraction: float = 1 / 3,
    seed: int = 0,
    findings: list[Finding] | None = None,
) -> list[tuple[Rows, Rows]]:
    """Return the pairs (training rows, validation rows), each in ascending order.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression"}
        What is predicted.
    y : ndarray of shape (n,)
        Codes of classes, or values.
    strategy : {"cv", "holdout"}
        Cross-validation, or one part set aside.
    folds : int, default=5
        Of cross-validation; no more than there are rows.
    repeats : int, default=1
        How often all of it is done, each time with another shuffle.
    fraction : float, default=1/3
        Share of the rows that a holdout sets aside.
    seed : int, default=0
        Equal arguments give equal rows.
    findings : list of Finding, optional
        Gets a note for classes that are too small to be judged in every fold.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = plan("binary", np.array([0, 0, 0, 0, 1, 1]), folds=2, seed=1)
    >>> [sorted(np.array([0, 0, 0, 0, 1, 1])[valid].tolist()) for _, valid in pairs]
    [[0, 0, 1], [0, 0, 1]]
    """
    y = np.asarray(y)
    _check(strategy, len(y), folds, repeats, fraction)
    if findings is not None and task != "regression":
        findings.extend(_small_classes(y, folds if strategy == "cv" else 2))
    pairs: list[tuple[Rows, Rows]] = []
    for repeat in range(repeats):
        rng = generator(seed, "resampling", repeat)
        if strategy == "holdout":
            pairs.append(_set_aside(task, y, fraction, rng))
        else:
            pairs += _cross_validation(task, y, min(folds, len(y)), rng)
    return pairs


def split_holdout(task: str, y: NDArray[Any], fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Return (rows for the search, rows for the test), stratified; no test rows for a fraction of 0.

    Examples
    --------
    >>> import numpy as np
    >>> train, test = split_holdout("regression", np.arange(10.0), 0.2, seed=1)
    >>> len(train), len(test)
    (8, 2)
    """
    y = np.asarray(y)
    if fraction == 0:
        return np.arange(len(y)), np.empty(0, dtype=np.int64)
    _check("holdout", len(y), 2, 1, fraction)
    return _set_aside(task, y, fraction, generator(seed, "test part"))


def _check(strategy: str, n_rows: int, folds: int, repeats: int, fraction: float) -> None:
    if strategy not in ("cv", "holdout"):
        raise InputError(f"expected the resampling strategy 'cv' or 'holdout', got {strategy!r}.")
    if n_rows < 2:
        raise DataError(
            f"two rows or more are needed to set some apart, got {n_rows}.", code="E_TOO_FEW_ROWS"
        )
    if strategy == "cv" and (folds < 2 or repeats < 1):
        raise InputError(f"expected 2 folds or more and 1 repeat or more, got {folds} and {repeats}.")
    if strategy == "holdout" and not 0 < fraction < 1:
        raise InputError(f"expected a share of rows between 0 and 1 to set aside, got {fraction!r}.")


def _small_classes(y: NDArray[Any], folds: int) -> list[Finding]:
    codes, counts = np.unique(y, return_counts=True)
    result = []
    if singles := codes[counts == 1].tolist():
        result.append(
            Finding(
                "warning",
                "W_CLASS_ONE_ROW",
                None,
                f"{len(singles)} class(es) have one row only; it is always used for training, "
                "so no score says how well such a class is predicted.",
            )
        )
    if len(few := codes[(counts > 1) & (counts < folds)]):
        result.append(
            Finding(
                "info",
                "I_CLASS_FEW_ROWS",
                None,
                f"{len(few)} class(es) have fewer rows than the {folds} folds, so some folds lack them.",
            )
        )
    return result


def _cross_validation(
    task: str, y: NDArray[Any], folds: int, rng: np.random.Generator
) -> list[tuple[Rows, Rows]]:
    n = len(y)
    order = np.lexsort((rng.random(n), y))
    fold_of = np.empty(n, dtype=np.int64)
    if task == "regression":
        blocks = rng.permuted(np.tile(np.arange(folds), (-(-n // folds), 1)), axis=1)
        fold_of[order] = blocks.ravel()[:n]
    else:
        fold_of[order] = rng.permutation(folds)[np.arange(n) % folds]
        fold_of[_only_ones(y)] = -1  # in no validation part
    rows = np.arange(n)
    pairs = [(rows[fold_of != fold], rows[fold_of == fold]) for fold in range(folds)]
    # Few rows and singletons can leave a fold with nothing to judge.
    return [(train, valid) for train, valid in pairs if len(valid)]


def _set_aside(task: str, y: NDArray[Any], fraction: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    n = len(y)
    size = min(max(round(n * fraction), 1), n - 1)
    order = np.lexsort((rng.random(n), y))
    # Evenly spaced places from a random start: each class gives its share, rounded up or down.
    places = np.floor(np.arange(n + 1) * size / n + rng.random())
    aside = np.zeros(n, dtype=bool)
    aside[order] = np.diff(places) > 0
    if task != "regression":
        _keep_classes_in_both(y, aside, rng)
    rows = np.arange(n)
    return rows[~aside], rows[aside]


def _keep_classes_in_both(y: NDArray[Any], aside: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Move single rows, in place, so that a class of two rows or more is on both sides."""
    codes, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
    there = np.bincount(inverse, weights=aside, minlength=len(codes))
    for code in np.flatnonzero((there == 0) & (counts > 1)):
        aside[rng.choice(np.flatnonzero(inverse == code))] = True
    for code in np.flatnonzero((there == counts) & (counts > 1)):
        aside[rng.choice(np.flatnonzero(inverse == code))] = False
    aside[_only_ones(y)] = False


def _only_ones(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows are the only one of their class."""
    _, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] == 1)

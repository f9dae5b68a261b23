"""What a model does to the base matrix first: fill gaps, spread categories, scale; learned per fold.

The options are the underscore parameters of a method. State is JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import InputError

__all__ = ["Preparation"]

Floats = NDArray[np.float64]

_MOST_LEVELS = 32


class Preparation:
    """Turns the base matrix into what an estimator takes.

    Parameters
    ----------
    impute : {"native", "median", "mean"}, default="native"
        What stands for a missing number: nothing (the estimator knows NaN), or the middle of its column. A
        missing category becomes the code -1 unless ``native``.
    onehot : bool, default=False
        Give each category a column of its own: the 32 most frequent levels of each feature; all others,
        unseen and missing ones share the row without any.
    scale, scale_minmax : bool, default=False
        Bring columns to mean 0 and deviation 1, or, if not, to the range 0 to 1.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [3.0, 1.0], [np.nan, 1.0]])
    >>> preparation = Preparation(impute="median", onehot=True).fit(X, ["number", "category"])
    >>> preparation.transform(np.array([[np.nan, 1.0], [5.0, 7.0]])).tolist()
    [[2.0, 0.0, 1.0], [5.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        *,
        impute: Literal["native", "median", "mean"] = "native",
        onehot: bool = False,
        scale: bool = False,
        scale_minmax: bool = False,
    ) -> None:
        if impute not in ("native", "median", "mean"):
            raise InputError(f"expected _impute to be 'native', 'median' or 'mean', got {impute!r:.40}.")
        self.impute = impute
        self.onehot = bool(onehot)
        self.scaling = "standard" if scale else "minmax" if scale_minmax else None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Build one from a method's underscore parameters."""
        return cls(**{name.removeprefix("_"): value for name, value in options.items() if value is not None})

    def fit(self, X: Floats, kinds: Sequence[str]) -> Self:
        """Learn from the rows of a fold, shape (n, d)."""
        self._numbers = [at for at, kind in enumerate(kinds) if kind != "category"]
        self._categories = [at for at, kind in enumerate(kinds) if kind == "category"]
        self._fill = [self._middle(X[:, at]) for at in self._numbers]
        self._levels = [_frequent(X[:, at]) for at in self._categories] if self.onehot else []
        self._shift, self._factor = [], []
        if self.scaling is not None:
            Z = self._spread(X)
            low, width = _extent(Z, self.scaling)
            self._shift, self._factor = low.tolist(), (1 / np.where(width > 0, width, 1.0)).tolist()
        return self

    def transform(self, X: Floats) -> Floats:
        """Return what the estimator takes, shape (n, columns)."""
        Z = self._spread(X)
        if self.scaling is not None:
            Z -= self._shift
            Z *= self._factor
        return Z

    @property
    def origin(self) -> list[int]:
        """The column of the base matrix that each transformed column comes from."""
        if not self.onehot:
            return [*self._numbers, *self._categories]
        spread = [at for at, levels in zip(self._categories, self._levels, strict=True) for _ in levels]
        return [*self._numbers, *spread]

    @property
    def is_category(self) -> list[bool]:
        """Which transformed columns hold codes of categories."""
        n = len(self._numbers)
        return [not self.onehot and at >= n for at in range(len(self.origin))]

    def _middle(self, column: Floats) -> float | None:
        if self.impute == "native":
            return None
        known = column[np.isfinite(column)]
        if not len(known):
            return 0.0
        return float(np.median(known) if self.impute == "median" else known.mean())

    def _spread(self, X: Floats) -> Floats:
        """Return filled numbers, then categories as codes or one column per level."""
        numbers = np.array(X[:, self._numbers], dtype=np.float64)
        if self.impute != "native":
            for at, fill in enumerate(self._fill):
                column = numbers[:, at]
                column[~np.isfinite(column)] = fill
        codes = np.array(X[:, self._categories], dtype=np.float64)
        if not self.onehot:
            if self.impute != "native":
                codes[np.isnan(codes)] = -1.0
            return np.hstack([numbers, codes])
        hot = [
            codes[:, at, None] == np.asarray(levels, dtype=np.float64)
            for at, levels in enumerate(self._levels)
        ]
        return np.hstack([numbers, *hot])

    def to_json(self) -> dict[str, Any]:
        """Return options and state as JSON."""
        return {
            "impute": self.impute,
            "onehot": self.onehot,
            "scaling": self.scaling,
            "numbers": self._numbers,
            "categories": self._categories,
            "fill": self._fill,
            "levels": self._levels,
            "shift": self._shift,
            "factor": self._factor,
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        result = cls(impute=form["impute"], onehot=form["onehot"])
        result.scaling = form["scaling"]
        result._numbers, result._categories = list(form["numbers"]), list(form["categories"])
        result._fill, result._levels = list(form["fill"]), list(form["levels"])
        result._shift, result._factor = list(form["shift"]), list(form["factor"])
        return result


def _frequent(codes: Floats) -> list[float]:
    """Return the most frequent codes of a column, ascending."""
    levels, counts = np.unique(codes[~np.isnan(codes)], return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:_MOST_LEVELS]
    return [float(level) for level in sorted(levels[kept])]


def _extent(Z: Floats, scaling: str) -> tuple[Floats, Floats]:
    """Return where each column starts and how wide it is."""
    if scaling == "minmax":
        low = Z.min(axis=0)
        return low, Z.max(axis=0) - low
    return Z.mean(axis=0), Z.std(axis=0)

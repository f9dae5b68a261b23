"""What the objective of an Optuna study asks for, as its trials tell: parameters, and when they are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from modelwright.transfer.inferring import conditions_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["Shape", "text_of"]

_PRESENT = 0  # stands for numbers, of which no condition here depends


def text_of(distribution: BaseDistribution) -> str:
    """Return a text that distributions share only if they are the same; 1, 1.0 and True are told apart."""
    return repr(distribution)


class Shape:
    """The parameters that can be proposed together, and the conditions of those that only some trials have.

    An objective written define-by-run tells its space by what it asks for. A parameter that some trials lack
    is taken for a conditional one if the choice of a category explains it; a trial that contradicts has the
    conditions inferred anew. What nothing explains, and what had different distributions, is left out.
    All of it is a function of the trials in their order, however many of them come at a time.

    Attributes
    ----------
    distributions : dict of str to BaseDistribution
        By name, those that can be proposed together.
    when : dict
        The conditions: by name, for one parent, the internal values under which the parameter is there.
    """

    def __init__(self) -> None:
        self.distributions: dict[str, BaseDistribution] = {}
        self.when: dict[str, dict[str, list[Any]]] = {}
        self._known: dict[str, BaseDistribution] = {}
        self._texts: dict[str, str] = {}
        self._changing: set[str] = set()
        self._configs: list[dict[str, Any]] = []

    def read(self, trials: Iterable[FrozenTrial]) -> None:
        """Take in trials that ended of themselves; costs O(new trials) unless one contradicts."""
        for trial in trials:
            config = _categories(trial)
            self._configs.append(config)
            if self._note(trial.distributions) or self._contradicts(config):
                self._infer()

    def _note(self, distributions: Mapping[str, BaseDistribution]) -> bool:
        """Note what a trial was drawn from, and return whether that changes what is known."""
        news = False
        for name, distribution in distributions.items():
            if name in self._changing:
                continue
            text = text_of(distribution)
            if name not in self._texts:
                self._known[name], self._texts[name], news = distribution, text, True
            elif self._texts[name] != text:
                self._changing.add(name)
                del self._known[name]
                news = True
        return news

    def _contradicts(self, config: Mapping[str, Any]) -> bool:
        for name in self.distributions:
            wanted = all(config.get(parent) in values for parent, values in self.when.get(name, {}).items())
            if wanted != (name in config):
                return True
        return False

    def _infer(self) -> None:
        # What can take one value only needs no proposal, and explains nothing.
        names = sorted(name for name, item in self._known.items() if not item.single())
        choosers = [name for name in names if hasattr(self._known[name], "choices")]
        self.when, unexplained = conditions_of(self._configs, names, choosers)
        self.distributions = {name: self._known[name] for name in names if name not in unexplained}


def _categories(trial: FrozenTrial) -> dict[str, Any]:
    """Return the positions of the choices of a trial, and that its other parameters were there."""
    return {
        name: item.to_internal_repr(trial.params[name]) if hasattr(item, "choices") else _PRESENT
        for name, item in trial.distributions.items()
    }

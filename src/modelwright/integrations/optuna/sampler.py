"""Our optimizers as a sampler of Optuna."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler

from modelwright._base.seeds import fresh_seed
from modelwright.errors import InputError
from modelwright.integrations.optuna.models import Models, Settings
from modelwright.optimizers import OPTIMIZERS
from modelwright.records import Component

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["ModelwrightSampler"]


class ModelwrightSampler(BaseSampler):
    """Lets one of our optimizers propose the parameters of an Optuna study.

    Parameters
    ----------
    optimizer : str or Component, default="auto"
        A name, such as ``"gp"``, or a name with options.
    seed : int, optional
        All draws derive from it and from the numbers of the trials, so that a study that is resumed goes on
        as if it had never stopped. A new one by default.
    deterministic : bool, default=False
        Equal parameters give equal values, so none are proposed twice.

    Notes
    -----
    Parameters that earlier trials had are proposed together, conditional ones included, if the choice of a
    category explains when they are there. What is new, was drawn from different distributions, or is there
    for another reason is proposed by itself, from the trials that had it.

    Trials that run count as pending, so that parallel trials keep apart. Failed trials, values that are not
    finite, and violated constraints (``trial.set_constraint``) tell the optimizer to keep away; pruned trials
    rank behind complete ones. An optimizer that has nothing left to propose, such as `grid` after its last
    point, is followed by random draws.

    Examples
    --------
    >>> import optuna
    >>> from modelwright.integrations.optuna import ModelwrightSampler
    >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
    >>> study = optuna.create_study(sampler=ModelwrightSampler("tpe", seed=1))
    >>> study.optimize(lambda trial: trial.suggest_float("x", -5, 5) ** 2, n_trials=40)
    >>> study.best_value < 0.01
    True
    """

    def __init__(
        self, optimizer: str | Component = "auto", *, seed: int | None = None, deterministic: bool = False
    ) -> None:
        component = Component(optimizer) if isinstance(optimizer, str) else optimizer
        if not isinstance(component, Component):
            raise InputError(
                f"expected the name of an optimizer or a Component, got {optimizer!r:.80}.",
                hint='For instance "tpe", or Component("gp", {"n_startup": 8}).',
            )
        OPTIMIZERS.get(component.name)  # a name that is not known is refused here
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise InputError(f"expected the seed to be a whole number of at least 0, or None, got {seed!r}.")
        self._settings = Settings(component, fresh_seed() if seed is None else seed, deterministic)
        self._seed = self._settings.seed
        self._forget()

    def __repr__(self) -> str:
        return f"ModelwrightSampler({self._settings.component.name!r})"

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._storage: Any = None
        self._study_id = -1
        self._models: dict[int | None, Models] = {}
        self._looked: dict[int | None, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        # All else is a cache, which the study's trials bring back.
        return {"settings": self._settings, "seed": self._seed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._settings, self._seed = state["settings"], state["seed"]
        self._forget()

    # what Optuna calls -------------------------------------------------------------------------------

    def reseed_rng(self) -> None:
        """Draw otherwise from now on."""
        self._seed = fresh_seed()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are proposed together."""
        with self._lock:
            return self._following(study, trial, anew=True).together

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values of those of the parameters that are active."""
        fixed = trial.system_attrs.get("fixed_params", {})
        with self._lock:
            models = self._following(study, trial)
            return models.propose(trial.number, fixed, search_space, self._seed) if search_space else {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value of one parameter."""
        with self._lock:
            models = self._following(study, trial)
            return models.propose_one(trial.number, param_name, param_distribution, self._seed)

    # -------------------------------------------------------------------------------------------------

    def _following(self, study: Study, trial: FrozenTrial, *, anew: bool = False) -> Models:
        """Return the models of a study, which have looked at its trials since `trial` began."""
        if study._storage is not self._storage or study._study_id != self._study_id:
            self._forget()
            self._storage, self._study_id = study._storage, study._study_id
        # Hyperband divides a study, and shows each trial its own part.
        part: int | None = getattr(study, "_bracket_id", None)
        if part not in self._models:
            names = [direction.name for direction in study.directions]
            self._models[part] = Models(names, self._settings)
        if anew or self._looked.get(part) != trial.number:
            self._models[part].look(study.get_trials(deepcopy=False))
            self._looked[part] = trial.number
        return self._models[part]

"""Parameters of an Optuna study as a space, and its trials as configurations of that space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelwright.errors import ConfigurationError
from modelwright.integrations.optuna.distributions import form_of, number_of
from modelwright.integrations.optuna.names import parameter_names
from modelwright.integrations.optuna.results import result_of
from modelwright.integrations.optuna.shape import text_of
from modelwright.records import Failure, FailureKind, Objective, Report, Trial, TrialState
from modelwright.space import Categorical, Parameter, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["View", "reports_of"]

_VIOLATED = Failure(FailureKind.INVALID, "it violates a constraint in Optuna", "E_IMPORTED")


class View:
    """Some of a study's parameters as a space.

    Choices go by their positions, so that any objects may be choices, and odd names by ones that are allowed.

    Parameters
    ----------
    distributions : mapping of str to BaseDistribution
        The parameters by Optuna's names.
    when : mapping
        Their conditions on internal values; those on parents that are not among the parameters fall away.
    """

    def __init__(
        self, distributions: Mapping[str, BaseDistribution], when: Mapping[str, Mapping[str, list[Any]]]
    ) -> None:
        self._distributions = dict(distributions)
        self._texts = {name: text_of(item) for name, item in distributions.items()}
        self._names = parameter_names(distributions)
        self.space = Space(
            {self._names[name]: self._parameter(name, item, when) for name, item in distributions.items()}
        )

    def _parameter(
        self, name: str, distribution: BaseDistribution, when: Mapping[str, Mapping[str, list[Any]]]
    ) -> Parameter:
        form = form_of(distribution)
        plain = Categorical(range(len(form["choices"]))) if "choices" in form else number_of(name, form)
        kept = {parent: values for parent, values in when.get(name, {}).items() if parent in self._names}
        return plain.with_when({self._names[parent]: values for parent, values in kept.items()})

    def config(
        self, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]
    ) -> dict[str, Any] | None:
        """Return a trial's values as a configuration; None if they are none."""
        config: dict[str, Any] = {}
        for name, here in self._names.items():
            if name not in params:
                continue
            config[here] = params[name]
            if "choices" in vars(self._distributions[name]):
                if name in distributions and text_of(distributions[name]) != self._texts[name]:
                    return None
                config[here] = int(self._distributions[name].to_internal_repr(params[name]))
        try:
            return self.space.check(config)
        except ConfigurationError:
            return None

    def params(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a configuration as Optuna has them."""
        return {
            name: self._distributions[name].to_external_repr(config[here])
            for name, here in self._names.items()
            if here in config
        }

    def trial(self, frozen: FrozenTrial, objectives: tuple[Objective, ...]) -> Trial | None:
        """Return a finished trial as a row of a history; None if it has other parameters."""
        config = self.config(frozen.params, frozen.distributions)
        if config is None:
            return None
        state, values, failure = result_of(
            frozen.state.name, frozen.values, frozen.intermediate_values, len(objectives)
        )
        if state is TrialState.COMPLETE and any(value > 0 for value in frozen.constraints.values()):
            state, values, failure = TrialState.FAILED, (), _VIOLATED
        return Trial(frozen.number, state, self.space.dump(config), values, failure)


def reports_of(frozen: FrozenTrial, objective: Objective) -> list[tuple[int, Report]]:
    """Return the intermediate values of a trial."""
    return [
        (frozen.number, Report(step, {objective.name: value}))
        for step, value in sorted(frozen.intermediate_values.items())
    ]

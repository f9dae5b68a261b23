"""Optimizers by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from modelwright._base.options import accepted_options, check_options
from modelwright._base.registry import Registry
from modelwright.errors import AbilityError
from modelwright.optimizers.base import Abilities, Optimizer
from modelwright.records import Component, Objective, OutcomeConstraint

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["OPTIMIZERS", "make_optimizer"]

OPTIMIZERS = Registry(
    "optimizer",
    {
        "auto": "modelwright.optimizers.auto:Auto",
        "random": "modelwright.optimizers.random:RandomSearch",
        "quasirandom": "modelwright.optimizers.quasirandom:QuasiRandomSearch",
        "grid": "modelwright.optimizers.grid:GridSearch",
        "sequence": "modelwright.optimizers.grid:GridSearch",
        "tpe": "modelwright.optimizers.tpe:TPE",
        "hyperopt": "modelwright.optimizers.tpe:TPE",
        "gp": "modelwright.optimizers.gp:GP",
        "spearmint": "modelwright.optimizers.gp:GP",
        "gcp": "modelwright.optimizers.gp:GCP",
        "forest": "modelwright.optimizers.forest:Forest",
        "smac": "modelwright.optimizers.forest:Forest",
        "cmaes": "modelwright.optimizers.cmaes:CMAES",
        "de": "modelwright.optimizers.de:DifferentialEvolution",
        "evolution": "modelwright.optimizers.evolution:RegularizedEvolution",
        "nsga2": "modelwright.optimizers.nsga2:NSGA2",
        "manual": "modelwright.optimizers.manual:Manual",
        "passive": "modelwright.optimizers.manual:Manual",
        "partitions": "modelwright.automl.search:PartitionSearch",
    },
    "modelwright.optimizers",
)


def _ignores_outcomes(abilities: Abilities) -> bool:
    return abilities.learns and not abilities.outcome_constraints


def make_optimizer(
    component: Component | str,
    space: Space,
    objectives: Sequence[Objective],
    *,
    deterministic: bool = False,
    seed: int = 0,
    outcome_constraints: Sequence[OutcomeConstraint] | None = None,
    **options: Any,
) -> Optimizer:
    """Build an optimizer from its name.

    Parameters
    ----------
    component : Component or str
        A name of `OPTIMIZERS`, ``"path/to/file.py:Class"``, or either with options.
    space : Space
        Where configurations come from.
    objectives : sequence of Objective
        What is optimized.
    deterministic : bool, default=False
        Equal configurations give equal values, so none is proposed twice.
    seed : int, default=0
        The study's, for optimizers that need one beyond their tickets' generators; an option ``seed`` of
        the component comes before it.
    outcome_constraints : sequence of OutcomeConstraint, optional
        What trials have to measure, as the histories it is asked with have it.
    **options
        More options; they come before those of the component.

    Raises
    ------
    UnknownNameError
        Nothing of that name.
    InputError
        An option that the optimizer does not take.
    AbilityError
        It cannot handle this space, these objectives or outcome constraints.

    Examples
    --------
    >>> from modelwright.space import Float, Space
    >>> from modelwright.records import Objective
    >>> make_optimizer("random", Space(x=Float(0, 1)), [Objective()])
    RandomSearch()
    """
    if isinstance(component, str):
        component = Component(component)
    factory = OPTIMIZERS.get(component.name)
    given = {**component.options, **options}
    check_options(f"the optimizer {component.name!r}", factory, given)
    known = accepted_options(factory)
    if known is None or "seed" in known:
        given.setdefault("seed", seed)
    given["deterministic"] = deterministic
    optimizer = cast(Optimizer, factory(space, tuple(objectives), **given))
    if outcome_constraints and _ignores_outcomes(optimizer.abilities):
        raise AbilityError(
            f"the optimizer {component.name!r} does not know of outcome constraints.",
            hint="Take 'gp' or 'tpe', which do.",
        )
    return optimizer

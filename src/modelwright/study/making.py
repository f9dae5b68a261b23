"""What users give to make a study, read and checked before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelwright._base.seeds import fresh_seed
from modelwright.errors import InputError
from modelwright.optimizers import make_optimizer
from modelwright.records import Component, Objective, OutcomeConstraint, StudySpec, TrialState

__all__ = ["check_parts", "component_of", "constraints_of", "objectives_of", "seed_of", "trial_state_of"]


def objectives_of(
    direction: str | None, directions: Sequence[str] | Mapping[str, str] | None
) -> tuple[Objective, ...]:
    """Return the objectives of one direction, or of several with or without names."""
    if direction is not None and not isinstance(direction, str):
        raise InputError(
            f"expected one direction, 'minimize' or 'maximize', got {direction!r}.",
            hint="Several objectives are given as directions=[...].",
        )
    if directions is None:
        return (Objective("value", direction or "minimize"),)  # type: ignore[arg-type]
    if direction is not None:
        raise InputError("expected `direction` or `directions`, got both.")
    if isinstance(directions, str):
        raise InputError(f"expected a sequence of directions, got the text {directions!r}.")
    if isinstance(directions, Mapping):
        return tuple(Objective(name, item) for name, item in directions.items())  # type: ignore[arg-type]
    if len(directions) == 1:
        return (Objective("value", directions[0]),)  # type: ignore[arg-type]
    return tuple(Objective(f"value_{i}", item) for i, item in enumerate(directions))  # type: ignore[arg-type]


def constraints_of(
    given: Sequence[str | OutcomeConstraint] | str | None,
) -> tuple[OutcomeConstraint, ...] | None:
    """Return outcome constraints from texts such as ``"latency <= 20"``; None where there are none."""
    if isinstance(given, str):
        given = [given]
    if given is not None and not isinstance(given, Sequence):
        raise InputError(f"expected a list of outcome constraints such as 'latency <= 20', got {given!r}.")
    found = [
        item if isinstance(item, OutcomeConstraint) else OutcomeConstraint.parse(item) for item in given or ()
    ]
    return tuple(found) or None


def check_parts(spec: StudySpec) -> None:
    """Build the optimizer and the scheduler, so that what they cannot do is refused before a study exists."""
    make_optimizer(
        spec.optimizer,
        spec.space,
        spec.objectives,
        deterministic=spec.deterministic,
        seed=spec.seed,
        outcome_constraints=spec.outcome_constraints,
    )
    if spec.scheduler is not None:
        from modelwright.schedulers import make_scheduler

        make_scheduler(spec.scheduler, spec.objectives)


def trial_state_of(state: TrialState | str) -> TrialState:
    """Return the state by its name, in any case."""
    try:
        return TrialState(str(state).lower())
    except ValueError:
        raise InputError(f"expected the state complete, pruned or failed, got {state!r}.") from None


def component_of(value: str | Component | None) -> Component:
    """Return an optimizer or scheduler that is given by its name as what the ledger keeps of it."""
    if isinstance(value, Component):
        return value
    if isinstance(value, str):
        return Component(value)
    raise InputError(f"expected a name or a Component, got {type(value).__name__}.")


def seed_of(seed: int | None) -> int:
    """Return the seed, drawn where none is given."""
    if seed is None:
        return fresh_seed()
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError(f"expected a seed from 0 to {2**32 - 1}, got {seed!r}.")
    return seed

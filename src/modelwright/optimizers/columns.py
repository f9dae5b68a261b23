"""A space as columns of a Parzen estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelwright.numerics.parzen import Column

if TYPE_CHECKING:
    from modelwright.space import Space
    from modelwright.space.parameters import Parameter

__all__ = ["columns_of"]

_MOST_LEVELS = 1000  # with more, a level is too narrow to tell from a real number


def columns_of(space: Space) -> list[Column]:
    """Return one column per parameter, in the order of the codec.

    Numbers without steps are real; numbers with steps and ordinals are levels; all else is choices.

    Examples
    --------
    >>> from modelwright.space import Bool, Float, Int, Space
    >>> [column.ordered for column in columns_of(Space(x=Float(0, 1), n=Int(1, 3), b=Bool()))]
    [True, True, False]
    """
    return [_column(parameter) for parameter in space.parameters.values()]


def _column(parameter: Parameter) -> Column:
    from modelwright.space import Float, Int, Ordinal

    ordered = isinstance(parameter, Float | Int | Ordinal)
    if parameter.size is None or (ordered and parameter.size > _MOST_LEVELS):
        return Column()
    positions = [parameter.encode(parameter.at(slot)) for slot in range(parameter.size)]
    return Column(np.array(positions), ordered)

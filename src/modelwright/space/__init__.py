"""What can be searched: parameters, conditions and constraints, and nothing else's behaviour."""

from modelwright.space.choices import Bool, Categorical, Constant, Ordinal
from modelwright.space.numbers import Float, Int
from modelwright.space.parameters import Parameter
from modelwright.space.priors import Near
from modelwright.space.space import Space

__all__ = ["Bool", "Categorical", "Constant", "Float", "Int", "Near", "Ordinal", "Parameter", "Space"]

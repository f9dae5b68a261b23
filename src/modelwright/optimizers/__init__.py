"""Who proposes configurations: one algorithm per file, behind one small contract."""

from modelwright.optimizers.base import Abilities, Optimizer
from modelwright.optimizers.catalogue import OPTIMIZERS, make_optimizer

__all__ = ["OPTIMIZERS", "Abilities", "Optimizer", "make_optimizer"]

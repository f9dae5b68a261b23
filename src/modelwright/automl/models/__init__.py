"""Models: learners together with the preparation that they need, saved without pickle."""

from modelwright.automl.models.base import FitContext, Model, Part
from modelwright.automl.models.catalogue import load_model, make_model

__all__ = ["FitContext", "Model", "Part", "load_model", "make_model"]

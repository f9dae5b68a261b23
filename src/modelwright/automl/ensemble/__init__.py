"""Ensembles of the models that a search has found."""

from modelwright.automl.ensemble.selection import EnsembleSelection

__all__ = ["EnsembleSelection"]

"""Methods: learners with their hyperparameters, declared in JSON files."""

from modelwright.automl.methods.catalogue import METHODS, default_methods, load_methods
from modelwright.automl.methods.classes import find_class
from modelwright.automl.methods.definition import Definition
from modelwright.automl.methods.method import Method, read_method

__all__ = ["METHODS", "Definition", "Method", "default_methods", "find_class", "load_methods", "read_method"]

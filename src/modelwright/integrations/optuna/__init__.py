"""Studies out of Optuna's files, read without Optuna and without unpickling anything.

Optuna keeps studies in SQL databases, of which SQLite files are read here (`database`), and in journals, text
files with one operation in each line (`journal`). Both give plain values; `meaning` makes studies of them.
"""

from __future__ import annotations

from modelwright.integrations.optuna.files import list_studies, read_study

__all__ = ["list_studies", "read_study"]

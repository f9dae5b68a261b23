"""Every error that Modelwright raises on purpose.

::

    ModelwrightError
    ├── InputError (ValueError)            what the user gave is wrong; exit code 2
    │   ├── SpaceError                     a parameter, condition or constraint
    │   │   └── EmptySpaceError            no configuration meets the constraints
    │   ├── ConfigurationError             a configuration outside its space
    │   ├── DataError                      a table, its target or its columns
    │   ├── BundleError                    a saved model that cannot be trusted or does not fit
    │   └── UnknownNameError               a name that no registry holds
    ├── MissingDependencyError (ImportError)   an extra that is not installed
    ├── StorageError                       the ledger
    │   ├── StudyNotFoundError (KeyError)
    │   ├── StudyExistsError (ValueError)
    │   ├── SchemaError                    written by another version, or not ours
    │   ├── StorageUnavailableError        locked, full, read-only or out of reach
    │   └── StaleClaimError                the trial has passed to another worker
    ├── ExecutionError                     a place where trials run could not do its part
    │   └── ObjectiveTransportError        the objective cannot be sent to another process
    ├── AbilityError (InputError)          the optimizer or scheduler cannot do what is asked
    └── StudyStateError                    not possible in the study's or trial's present state

Each message says what was expected, what came and what to do. ``hint`` holds the last part where it
stands apart, and ``code`` a short stable name for programs.
"""

from __future__ import annotations

__all__ = [
    "AbilityError",
    "BundleError",
    "ConfigurationError",
    "DataError",
    "EmptySpaceError",
    "ExecutionError",
    "InputError",
    "MissingDependencyError",
    "ModelwrightError",
    "ObjectiveTransportError",
    "SchemaError",
    "SpaceError",
    "StaleClaimError",
    "StorageError",
    "StorageUnavailableError",
    "StudyExistsError",
    "StudyNotFoundError",
    "StudyStateError",
    "UnknownNameError",
]


class ModelwrightError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    message : str
        What was expected and what came.
    hint : str, default=""
        What to do about it.
    code : str, default=""
        A stable short name, such as ``"E_TARGET_MISSING"``; the class attribute where empty.
    """

    code: str = "E_MODELWRIGHT"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class InputError(ModelwrightError, ValueError):
    """What the user gave is wrong."""

    code = "E_INPUT"


class SpaceError(InputError):
    """A parameter, a condition or a constraint makes no sense."""

    code = "E_SPACE"


class EmptySpaceError(SpaceError):
    """No configuration meets the constraints."""

    code = "E_SPACE_EMPTY"


class ConfigurationError(InputError):
    """A configuration does not belong to its space."""

    code = "E_POINT"


class DataError(InputError):
    """A table, its target or its columns cannot be used."""

    code = "E_DATA"


class BundleError(InputError):
    """A saved model is damaged, foreign, or does not fit the data."""

    code = "E_BUNDLE"


class UnknownNameError(InputError):
    """A name that no registry holds."""

    code = "E_UNKNOWN_NAME"


class AbilityError(InputError):
    """The chosen optimizer or scheduler cannot do what is asked of it."""

    code = "E_ABILITY"


class MissingDependencyError(ModelwrightError, ImportError):
    """A feature needs an extra that is not installed."""

    code = "E_MISSING_DEPENDENCY"


class StorageError(ModelwrightError):
    """The ledger could not do its part."""

    code = "E_STORAGE"


class StudyNotFoundError(StorageError, KeyError):
    """No study of that name."""

    code = "E_STUDY_NOT_FOUND"


class StudyExistsError(StorageError, ValueError):
    """A study of that name is there already."""

    code = "E_STUDY_EXISTS"


class SchemaError(StorageError):
    """The database is of another version, or not ours at all."""

    code = "E_SCHEMA"


class StorageUnavailableError(StorageError):
    """The database is locked, full, read-only or out of reach."""

    code = "E_STORAGE_UNAVAILABLE"


class StaleClaimError(StorageError):
    """The trial has passed to another worker; this one's writes are refused."""

    code = "E_STALE"


class ExecutionError(ModelwrightError):
    """A place where trials run could not do its part."""

    code = "E_EXECUTION"


class ObjectiveTransportError(ExecutionError):
    """The objective cannot be sent to another process."""

    code = "E_OBJECTIVE_TRANSPORT"


class StudyStateError(ModelwrightError):
    """Not possible in the study's or trial's present state."""

    code = "E_STATE"

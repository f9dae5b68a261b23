"""Errors on their way through HTTP: the class by its name, the words as they are, a fitting status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright import errors
from modelwright.errors import (
    InputError,
    MissingDependencyError,
    ModelwrightError,
    SchemaError,
    StaleClaimError,
    StorageError,
    StorageUnavailableError,
    StudyExistsError,
    StudyNotFoundError,
    StudyStateError,
)

__all__ = ["error_form", "read_error"]

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (StudyNotFoundError, 404),
    (StudyExistsError, 409),
    (StaleClaimError, 409),
    (StudyStateError, 409),
    (StorageUnavailableError, 503),
    (SchemaError, 500),
    (MissingDependencyError, 501),
    (StorageError, 500),
    (InputError, 400),
    (ModelwrightError, 400),
    (KeyError, 404),
)


_BY_CODE = {
    "E_ARTIFACT_MISSING": 404,
    # Statements are constants of ours: what a database refuses in one is a value that the request brought.
    "E_DB": 400,
    "E_DB_TOO_LARGE": 413,
}


def error_form(error: Exception) -> tuple[int, dict[str, str]] | None:
    """Return the status and the JSON form of an error that a caller may see; None for any other."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    status = _BY_CODE.get(getattr(error, "code", ""), status)
    if status is None:
        return None
    if isinstance(error, ModelwrightError):
        form = {"code": error.code, "message": error.message, "hint": error.hint}
        return status, {**form, "error": type(error).__name__}
    message = str(error.args[0]) if error.args else "there is no such thing"
    return status, {"code": "E_NOT_FOUND", "message": message, "hint": "", "error": "KeyError"}


def read_error(status: int, form: Any) -> Exception:
    """Return the error that a server's answer stands for."""
    if not isinstance(form, Mapping):
        form = {}
    message = str(form.get("message") or f"the server refused the request with the status {status}.")
    name = str(form.get("error", ""))
    if name == "KeyError":
        return KeyError(message)
    words = {"hint": str(form.get("hint", "")), "code": str(form.get("code", ""))}
    kind = getattr(errors, name, None) if name in errors.__all__ else None
    if isinstance(kind, type) and issubclass(kind, ModelwrightError):
        return kind(message, **words)
    return StorageError(message, **words)

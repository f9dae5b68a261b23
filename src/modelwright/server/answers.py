"""What goes back to a client: JSON, errors as ``{code, message, hint}``, headers that keep browsers out."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from modelwright.storage.http.routes import WIRE_HEADER
from modelwright.storage.jsontext import encode
from modelwright.storage.wire import WIRE_VERSION

__all__ = ["HEADERS", "RefusedError", "json_answer", "refusal_answer"]

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (WIRE_HEADER.lower().encode(), str(WIRE_VERSION).encode()),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""On every answer, whatever it is."""


class RefusedError(Exception):
    """A request that is not carried out.

    Parameters
    ----------
    status : int
        Of the answer.
    code, message, hint : str
        As in our errors.
    close : bool
        Whether the connection cannot be used any further, such as when a body was not read to its end.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        *,
        close: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.form = {"code": code, "message": message, "hint": hint}
        self.headers = {**(headers or {}), **({"connection": "close"} if close else {})}


def json_answer(form: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return the answer that holds a plain JSON value."""
    return text_answer(encode(form), status, headers)


def text_answer(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return the answer that holds JSON text."""
    return Response(text, status, headers, media_type="application/json")


def refusal_answer(refusal: RefusedError) -> Response:
    """Return the answer that says no."""
    return json_answer(refusal.form, refusal.status, refusal.headers)

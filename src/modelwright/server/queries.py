"""What a request says besides its body: fields after the '?', and the key under which it may be repeated."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from modelwright.errors import InputError

__all__ = ["read_query", "refuse_query", "repeat_key"]

_MOST_FIELDS = 20
_LONGEST_KEY = 100


def read_query(request: Request) -> dict[str, str]:
    """Return the fields after the '?'.

    Raises
    ------
    InputError
        They cannot be read, or one is given twice.
    """
    query: bytes = request.scope["query_string"]
    try:
        text = query.decode("ascii")
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise InputError("what stands after the '?' cannot be read.", code="E_QUERY") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InputError("a field after the '?' is given twice.", code="E_QUERY")
    return fields


def refuse_query(request: Request) -> None:
    """Refuse fields after the '?' where a body holds them all."""
    if request.scope["query_string"]:
        raise InputError("this request takes nothing after a '?'.", code="E_QUERY")


def repeat_key(request: Request) -> str:
    """Return the header ``Idempotency-Key``, empty where there is none."""
    key = request.headers.get("idempotency-key", "")
    if len(key) > _LONGEST_KEY:
        raise InputError(
            f"expected an Idempotency-Key of at most {_LONGEST_KEY} characters, got {len(key)}.",
            code="E_FORM",
        )
    return key

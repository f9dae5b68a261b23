"""The ledger as a request sees it: what people change is signed with who asked for it."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from modelwright.storage import Storage

__all__ = ["Signed", "signing"]

_who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="")

_SIGNED = frozenset(
    name
    for name, method in inspect.getmembers(Storage, inspect.isfunction)
    if "who" in inspect.signature(method).parameters
)


@contextmanager
def signing(who: str) -> Iterator[None]:
    """Sign what is changed within the block with `who`."""
    token = _who.set(who)
    try:
        yield
    finally:
        _who.reset(token)


class Signed:
    """A storage around another, in which every change that takes ``who`` carries the present one."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        return partial(self._signed, method) if name in _SIGNED else method

    @staticmethod
    def _signed(method: Any, /, *arguments: Any, **named: Any) -> Any:
        return method(*arguments, **{**named, "who": _who.get()})

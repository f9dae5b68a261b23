"""A ledger on another machine: the contract of storages spoken over HTTP to `modelwright serve`.

`routes` is what client and server agree on; `client` is the storage.
"""

from __future__ import annotations

from modelwright.storage.http.address import open_http
from modelwright.storage.http.client import HTTPStorage

__all__ = ["HTTPStorage", "open_http"]

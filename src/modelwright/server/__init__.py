"""The network side of a ledger: `make_app` builds the application, `serving` runs it in a thread.

It needs the extra ``modelwright[server]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names
from modelwright._base.optional import require

if TYPE_CHECKING:
    from modelwright.server.app import make_app
    from modelwright.server.limits import Limits
    from modelwright.server.run import serving

__all__ = ["Limits", "make_app", "serving"]


def _check() -> None:
    for library in ("fastapi", "uvicorn"):
        require(library, extra="server", feature="`modelwright serve`")


__getattr__ = lazy_names(__name__, {"make_app": "app", "Limits": "limits", "serving": "run"}, before=_check)

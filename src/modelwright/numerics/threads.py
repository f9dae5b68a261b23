"""Linear algebra on one thread.

With another number of threads a matrix product is cut into other pieces, and its last bits differ. What is
computed from a history has to be the same in each process, whatever its number of threads.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[Any]:
    """Return a context within which linear algebra uses one thread.

    Examples
    --------
    >>> import numpy as np
    >>> with one_thread():
    ...     (np.ones((2, 3)) @ np.ones((3, 2))).tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    limiter: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limiter


@cache
def _libraries() -> Any:
    import scipy.linalg.lapack  # noqa: F401 - its library has to be there to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

"""Functions and arguments on their way to other processes."""

from __future__ import annotations

import functools
import inspect
import io
import os
import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import cloudpickle

from modelwright.errors import ObjectiveTransportError

__all__ = ["pack_argument", "pack_function"]

_HINT = 'Create it inside the function, or use executor="thread" (or "inline"), which shares this process.'


def pack_function(function: Any) -> bytes:
    """Return `function` as a pickle that another process of this user can read.

    What lives in ``__main__``, in a notebook, or in a module that a fresh interpreter could not import goes
    by value, everything else by name.

    Raises
    ------
    ObjectiveTransportError
        It holds something that cannot be sent; the message names it.

    Examples
    --------
    >>> import pickle
    >>> factor = 3
    >>> pickle.loads(pack_function(lambda x: factor * x))(14)
    42
    """
    return _pack(function, f"the function {_name_of(function)!r}")


def pack_argument(argument: Any, task_id: str) -> bytes:
    """Return a task's argument as a pickle.

    Raises
    ------
    ObjectiveTransportError
        It holds something that cannot be sent; the message names it.
    """
    return _pack(argument, f"the argument of task {task_id!r}")


def _pack(thing: Any, what: str) -> bytes:
    try:
        return _dump(thing)
    except Exception as error:  # pickle errors come in any class
        culprit = _culprit(thing)
        raise ObjectiveTransportError(
            f"{what} cannot be sent to another process: "
            + (f"{culprit} cannot be pickled" if culprit else "it cannot be pickled")
            + f" ({type(error).__name__}: {error}).",
            hint=_HINT,
        ) from error


def _dump(thing: Any) -> bytes:
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    try:
        pickler.dump(thing)
    finally:
        for module in pickler.by_value:
            cloudpickle.unregister_pickle_by_value(module)
    return buffer.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles by value what the launcher could not import by name."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.by_value: list[ModuleType] = []
        self._seen: set[str] = {"__main__"}

    def reducer_override(self, obj: Any) -> Any:
        """Look at the module of each function and class before it is pickled."""
        if isinstance(obj, FunctionType | type) and obj.__module__ not in self._seen:
            self._seen.add(obj.__module__)
            module = sys.modules.get(obj.__module__)
            if module is not None and not _importable(module):
                cloudpickle.register_pickle_by_value(module)
                self.by_value.append(module)
        return super().reducer_override(obj)


def _importable(module: ModuleType) -> bool:
    """Whether a fresh interpreter with our ``sys.path`` would find the same source file under its name."""
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        return True  # built in or native: by value it could not be sent in any case
    spec, path, prefix = None, None, ""
    for part in module.__name__.split("."):
        prefix = f"{prefix}.{part}" if prefix else part
        specs = (finder.find_spec(prefix, path) for finder in sys.meta_path)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return spec is not None and os.path.realpath(spec.origin or "") == os.path.realpath(file)


def _culprit(thing: Any) -> str:
    """Name the innermost part of `thing` that cannot be pickled; empty where none is found."""
    path: list[str] = []
    for _ in range(4):
        for name, part in _parts(thing):
            if not _can_dump(part):
                path.insert(0, f"{name} (of type {type(part).__qualname__})")
                thing = part
                break
        else:
            break
    return " in ".join(path)


def _parts(thing: Any) -> Iterator[tuple[str, Any]]:
    """List what is pickled with `thing`."""
    if isinstance(thing, functools.partial):
        yield "the wrapped function", thing.func
        yield from ((f"the argument {value!r:.60}", value) for value in thing.args)
        yield from ((f"the argument {name!r}", value) for name, value in thing.keywords.items())
    elif inspect.ismethod(thing):
        yield "the object it is a method of", thing.__self__
    elif inspect.isfunction(thing):
        variables = inspect.getclosurevars(thing)
        for name, value in {**variables.nonlocals, **variables.globals}.items():
            yield f"the variable {name!r}", value
    elif isinstance(thing, dict):
        yield from ((f"the item {key!r}", value) for key, value in thing.items())
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from ((f"the item {value!r:.60}", value) for value in thing)
    elif not isinstance(thing, type | ModuleType):
        yield from (
            (f"the attribute {key!r}", value) for key, value in getattr(thing, "__dict__", {}).items()
        )


def _can_dump(thing: Any) -> bool:
    try:
        _dump(thing)
    except Exception:
        return False
    return True


def _name_of(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)

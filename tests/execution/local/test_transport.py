"""Functions and arguments on their way to other processes."""

from __future__ import annotations

import functools
import json
import pickle
import sys
import threading
import types

import pytest

from modelwright.errors import ObjectiveTransportError
from modelwright.execution.local.transport import pack_argument, pack_function

SOURCE = """
def helper(x):
    return x + 1

def objective(x):
    return helper(x) * 2

class Box:
    size = 3
"""


def make_module(name, source):
    module = types.ModuleType(name)
    module.__file__ = f"/nowhere/{name}.py"
    sys.modules[name] = module
    exec(source, vars(module))
    return module


@pytest.fixture
def unfindable():
    """A module that is loaded here, and that no other interpreter could import."""
    yield make_module("loaded_by_hand", SOURCE)
    sys.modules.pop("loaded_by_hand", None)


def test_modules_that_can_be_imported_go_by_name():
    assert pickle.loads(pack_function(json.dumps)) is json.dumps
    assert len(pack_function(json.dumps)) < 100


def test_modules_that_cannot_be_imported_go_by_value(unfindable):
    function = pack_function(unfindable.objective)
    box = pack_argument(unfindable.Box(), "0-1")
    del sys.modules["loaded_by_hand"]
    assert pickle.loads(function)(4) == 10
    assert pickle.loads(box).size == 3


def test_a_module_of_the_same_name_elsewhere_is_no_match(unfindable):
    shadow = make_module("colorsys", "def objective(x):\n    return 'ours'\n")
    try:
        data = pack_function(shadow.objective)
    finally:
        del sys.modules["colorsys"]
    assert pickle.loads(data)(1) == "ours"


def test_going_by_value_is_for_one_time_only(unfindable):
    import cloudpickle

    pack_function(unfindable.objective)
    assert "loaded_by_hand" not in cloudpickle.list_registry_pickle_by_value()


LOCK = threading.Lock()


class Holder:
    def __init__(self):
        self.fine = 1
        self.guard = threading.Lock()

    def method(self, channel, argument):
        return 1


def make_script_function():
    """Return a function as it would be defined in a script that uses a global variable."""
    script = {"__name__": "__main__", "LOCK": LOCK}
    exec("def uses_global(channel, argument):\n    return LOCK\n", script)
    return script["uses_global"]


def make_closure():
    settings = {"lock": threading.Lock()}
    return lambda channel, argument: settings


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (make_script_function(), r"'uses_global'.*the variable 'LOCK' \(of type lock\)"),
        (make_closure(), r"the item 'lock' \(of type lock\) in the variable 'settings' \(of type dict\)"),
        (Holder().method, r"the attribute 'guard' \(of type lock\) in the object it is a method of"),
        (functools.partial(print, LOCK), "the argument <unlocked .* cannot be pickled"),
        (functools.partial(print, end=LOCK), r"the argument 'end' \(of type lock\) cannot be pickled"),
    ],
)
def test_what_cannot_be_pickled_is_named(function, named):
    with pytest.raises(ObjectiveTransportError, match=named) as caught:
        pack_function(function)
    assert 'executor="thread"' in str(caught.value)

"""Names into executors, and what executors share."""

from __future__ import annotations

import pytest

from modelwright.errors import UnknownNameError
from modelwright.execution import (
    EXECUTORS,
    InlineExecutor,
    LocalExecutor,
    Resources,
    ThreadExecutor,
    environment_for,
    make_executor,
)
from modelwright.execution.simulated import SimulatedExecutor


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("inline", InlineExecutor),
        ("thread", ThreadExecutor),
        ("local", LocalExecutor),
        ("simulated", SimulatedExecutor),
    ],
)
def test_names_become_executors(name, expected):
    executor = make_executor(name, slots=[Resources(cpus=2)], helper_slots=1, preload=())
    executor.close()
    assert isinstance(executor, expected)
    assert list(executor.slots()) == [Resources(cpus=2), Resources(role="helper")]


def test_every_name_is_tested_here():
    assert {"inline", "thread", "local"} <= set(EXECUTORS.names())


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no executor is called 'locl'. Did you mean 'local'?"):
        make_executor("locl")


def test_the_environment_of_a_task():
    base = {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "64",
        "CUDA_VISIBLE_DEVICES": "0,1,2,3",
        "MODELWRIGHT_STORAGE": "postgresql://user:password@host/db",
        "MODELWRIGHT_TOKEN": "secret",
        "MODELWRIGHT_SECRET_KEY": "secret",
        "MODELWRIGHT_LOG": "debug",
    }
    assert environment_for(Resources(cpus=2, gpus=("1",)), base) == {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "BLIS_NUM_THREADS": "2",
        "VECLIB_MAXIMUM_THREADS": "2",
        "NUMEXPR_NUM_THREADS": "2",
        "CUDA_VISIBLE_DEVICES": "1",
        "MODELWRIGHT_LOG": "debug",
    }
    assert environment_for(Resources(), base)["CUDA_VISIBLE_DEVICES"] == "0,1,2,3"
    assert base["OMP_NUM_THREADS"] == "64"

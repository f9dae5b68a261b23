"""Trials by number: what is folded comes back as it was."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace

import pytest

from modelwright.records import Failure, FailureKind, Provenance, Trial, TrialState, TrialTable

FULL = Trial(
    7,
    TrialState.FAILED,
    {"x": 0.1, "n": 2**70, "kind": "a", "sizes": [1, 2], "none": None, "on": True},
    (1.5, -0.0, float("inf")),
    Failure(FailureKind.MEMORY, "4.1 GB of 4 GB", "E_MEMORY", "its last lines"),
    fidelity=27.0,
    parent=0,
    partition=3,
    fence=2**40,
    attempts=2,
    space_version=1,
    enqueued=True,
    provenance=Provenance("gp", "1.0 numpy 2.3.1", "expected improvement 0.2", 41, 3),
    user_attrs={"note": "mine"},
    metrics={"folds": [0.5, 0.25]},
    duration_s=0.0,
    revision=99,
    finished_revision=98,
    worker="host-1",
    queued_us=0,
    started_us=-1,
    ended_us=1_790_000_000_123_456,
)
BARE = Trial(0, TrialState.COMPLETE)


@pytest.mark.parametrize(
    "trial", [FULL, BARE, replace(BARE, params={}), replace(FULL, state=TrialState.PRUNED)]
)
def test_a_finished_trial_comes_back_whole(trial: Trial) -> None:
    table = TrialTable()
    table[trial.number] = trial
    assert table[trial.number] == trial
    assert list(table[trial.number].params or ()) == list(trial.params or ())
    assert table.params(trial.number) == trial.params
    assert table.names(trial.number) == tuple(trial.params or ())
    assert table.results(trial.number) == trial.values
    assert table.state(trial.number) is trial.state
    assert table[trial.number].state is trial.state


@pytest.mark.parametrize("name", list(Trial.__dataclass_fields__))
def test_no_field_is_taken_for_another(name: str) -> None:
    table = TrialTable()
    # One field differs from those of a bare trial, so what the others are is not by chance.
    trial = BARE if name == "number" else replace(BARE, **{name: getattr(FULL, name)})
    table[0] = trial
    assert table[0] == trial


def test_a_trial_that_is_open_is_held_as_it_is() -> None:
    table = TrialTable()
    table[3] = Trial(3, TrialState.RUNNING, {"x": 0.5})
    assert table[3] is table[3]
    assert table.params(3) == {"x": 0.5}
    assert table.results(3) == ()
    assert table.names(3) == ("x",)
    table[3] = replace(table[3], state=TrialState.COMPLETE, values=(1.0,))
    assert table.state(3) is TrialState.COMPLETE
    assert table[3].values == (1.0,)
    assert len(table) == 1


def test_what_one_reader_changes_the_next_does_not_see() -> None:
    table = TrialTable()
    table[0] = replace(BARE, params={"x": 0.5})
    for mapping in (table[0].params, table.params(0), table[0].user_attrs, table[0].metrics):
        assert isinstance(mapping, dict)
        mapping["x"] = 0.75
    assert table[0] == replace(BARE, params={"x": 0.5})


def test_it_is_a_mapping() -> None:
    table, numbers = TrialTable(), [5, 2, 9]
    for number in numbers:
        table[number] = replace(BARE, number=number)
    assert list(table) == numbers
    assert [trial.number for trial in table.values()] == numbers
    assert [trial.number for trial in table.in_order()] == sorted(numbers)
    assert 2 in table
    assert 3 not in table
    assert table.get(3) is None
    assert table.state(3) is None
    del table[2]
    assert sorted(table) == [5, 9]
    with pytest.raises(KeyError):
        table[2]


def test_a_folded_trial_takes_little_memory() -> None:
    """Its numbers take 128 bytes, what holds it together 80, its place and its number 100."""
    rng = random.Random(1)

    def trial(number: int) -> Trial:
        return Trial(
            number,
            TrialState.COMPLETE,
            {"x": rng.random()},
            (rng.random(),),
            fence=1,
            attempts=1,
            provenance=Provenance("random", "1.0", "random", 5000 + number),
            duration_s=rng.random(),
            revision=9000 + number,
            finished_revision=9000 + number,
            worker="host-1",
            queued_us=10**15 + number,
            started_us=10**15 + 2 * number,
            ended_us=10**15 + 3 * number,
        )

    table, count = TrialTable(), 2000
    tracemalloc.start()
    try:
        for number in range(1000, 1000 + count):
            table[number] = trial(number)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / count < 350  # as a `Trial` it would be 1,100

from __future__ import annotations

import pytest

from modelwright._base.jsonform import dumps, loads
from modelwright.errors import InputError
from modelwright.worker.opening import full_address, holds_password, is_file
from modelwright.worker.options import WorkerOptions


def test_options_travel_as_json() -> None:
    options = WorkerOptions("sqlite:///hub.db", ("a", "b,c"), slots=3, total_time_s=60.0, wait=True)
    assert WorkerOptions.from_json(loads(dumps(options.to_json()))) == options


def test_the_address_is_not_shown() -> None:
    assert "secret" not in repr(WorkerOptions("postgresql://me:secret@host/db"))


@pytest.mark.parametrize(
    ("studies", "wanted", "unwanted"),
    [
        ((), ["a", "b"], []),
        (("a",), ["a"], ["b", "a,b"]),
        (("a, b",), ["a", "b", "a, b"], ["c"]),  # also a study whose name has a comma
        (("a", "b"), ["a", "b"], ["c"]),
    ],
)
def test_which_studies_are_meant(studies: tuple[str, ...], wanted: list[str], unwanted: list[str]) -> None:
    options = WorkerOptions("hub.db", studies)
    assert [name for name in wanted + unwanted if options.wants(name)] == wanted


def test_names_that_no_study_has() -> None:
    options = WorkerOptions("hub.db", ("a,b", "c,d", "e"))
    assert options.unknown({"a", "c,d"}) == ["b", "e"]
    assert WorkerOptions("hub.db").unknown(set()) == []


def test_a_trial_is_given_back_in_time_for_the_worker_to_leave_within_its_grace() -> None:
    for grace_s in (0.5, 5.0, 30.0):
        options = WorkerOptions("hub.db", grace_s=grace_s)
        assert options.trial_grace_s > 0
        assert options.trial_grace_s + options.kill_grace_s < grace_s


@pytest.mark.parametrize(
    "wrong", [{"choose": "best"}, {"slots": 0}, {"objective": "f"}, {"storage": "memory://"}]
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"expected (--|a storage)"):
        WorkerOptions(**{"storage": "hub.db", **wrong})  # type: ignore[arg-type]


def test_addresses() -> None:
    assert is_file("sqlite:///hub.db")
    assert is_file("hub.db")
    assert not is_file("postgresql://host/db")
    assert full_address("hub.db").startswith("sqlite:////")
    assert full_address("sqlite:///hub.db") == full_address("hub.db")
    assert full_address("sqlite://hub.db") == "sqlite://hub.db"  # which opening it refuses
    assert full_address("mysql://host/db") == "mysql://host/db"
    assert holds_password("mysql://me:secret@host/db")
    assert not holds_password("http://:token@host")
    assert not holds_password("mysql://me@host/db")

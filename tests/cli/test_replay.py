"""`modelwright replay`: the log of proposals, its proof, and its exit codes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from modelwright import Float, Int, Space, Study

from .conftest import Done

Command = Callable[..., Done]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A study of 15 trials in ``modelwright.db``, the first of them enqueued."""
    path = tmp_path / "modelwright.db"
    study = Study(Space(x=Float(0, 1), n=Int(1, 9)), storage=path, name="s", seed=1, optimizer="tpe")
    study.enqueue({"x": 0.5, "n": 3})
    study.run(lambda trial: float(trial.params["x"]), trials=15, executor="inline")
    study.close()
    return path


def change(ledger: Path) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE trials SET params = json_set(params, '$.n', 77) WHERE number = 4")
        connection.execute("UPDATE trials SET values_json = '[9.0]' WHERE number = 7")
    connection.close()


def test_the_log(ledger: Path, command: Command) -> None:
    done = command("replay", "s")
    assert done.code == 0
    head, first, second, *rest = done.out.splitlines()
    assert head.split("\t")[:2] == ["trial", "origin"]
    assert first.split("\t")[:3] == ["0", "enqueued", "-"]
    assert second.split("\t")[:3] == ["1", "proposed", "tpe"]
    assert second.split("\t")[-1] == "the space's default first"
    assert len(rest) == 13


def test_a_proof(ledger: Path, command: Command) -> None:
    done = command("replay", "s", "--check")
    assert done.code == 0
    assert done.out.startswith("s: 14 proposed, 1 enqueued; 14 recomputed with ")
    assert done.out.endswith("all is equal\n")


def test_the_first_difference_is_named(ledger: Path, command: Command) -> None:
    change(ledger)
    done = command("replay", "s", "--check")
    assert done.code == 1
    _, first, then = done.out.splitlines()
    assert first.startswith("first difference: trial 4, n: the ledger has 77, its log gives ")
    assert first.endswith(": the row was changed after it was written")
    assert then.startswith("then: trial 7, value: the ledger has 9.0, its log gives ")
    assert done.err == ""


def test_for_programs(ledger: Path, command: Command) -> None:
    told = json.loads(command("replay", "s", "--check", "--json").out)
    assert (told["study"], told["equal"], told["recomputed"], told["first"]) == ("s", True, 14, None)
    assert told["proposals"][1]["reason"] == "the space's default first"
    change(ledger)
    done = command("replay", "s", "--check", "--json")
    told = json.loads(done.out)
    assert done.code == 1
    assert told["equal"] is False
    assert (told["first"]["trial"], told["first"]["what"], told["first"]["ledger"]) == (4, "n", 77)
    assert [item["trial"] for item in told["proposals"] if item["equal"] is False] == [4, 7]
    told = json.loads(command("replay", "s", "--json").out)
    assert (told["checked"], told["equal"]) == (False, None)


def test_one_trial(ledger: Path, command: Command) -> None:
    change(ledger)
    assert command("replay", "s", "--check", "--trial", "3").code == 0
    assert command("replay", "s", "--check", "--trial", "4").code == 1
    assert len(command("replay", "s", "--trial", "4").out.splitlines()) == 2


def test_wrong_input(ledger: Path, command: Command) -> None:
    command("replay", "s", "--trial", "99").refuses("no trial 99")
    command("replay", "other").refuses("other")
    command("replay", "s", "--storage", "sqlite:///missing.db").refuses("missing.db")


def test_more_differences_than_are_shown(ledger: Path, command: Command) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE studies SET seed = seed + 1")
    connection.close()
    done = command("replay", "s", "--check")
    assert done.code == 1
    assert done.out.splitlines()[-1].endswith(" more; --json shows all")

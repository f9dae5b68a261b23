"""Whatever a parser is given, it gives a value or an error of ours: good input, changed at random."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright.cli.amounts import parse_count, parse_megabytes, parse_moment, parse_number, parse_seconds
from modelwright.errors import InputError, ModelwrightError
from modelwright.integrations.optuna import list_studies
from modelwright.records import Outcome, StudySpec, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.storage.base import Claim
from modelwright.storage.jsontext import decode_foreign
from modelwright.storage.sql import ServerAddress
from modelwright.storage.wire import read, write
from modelwright.transfer.jsonlines import from_lines, to_lines
from modelwright.transfer.results import read_results
from modelwright.transfer.snapshot import StudySnapshot

ASSETS = Path(__file__).parents[1] / "assets"
SPACE = Space(
    lr=Float(1e-5, 0.1, log=True),
    layers=Int(1, 8),
    act=Categorical("relu", "gelu"),
    momentum=Float(0, 1, when={"act": "relu"}),
    constraints=["layers * lr < 0.5"],
)
SPEC = StudySpec("study", SPACE, retry={"error": 1})
OUTCOME = Outcome(TrialState.COMPLETE, (0.5,), metrics={"f1": 0.25}, user_attrs={"note": "a"})
CLAIM = Claim(1, 2, 3, "claim", 1, {"lr": 0.01})
PLACES = ("postgresql://me:p%40ss@host:5432/db?sslmode=require", "mysql://root@[::1]:3306/led%20ger")
TABLE = 'lr,act,loss,note\n0.01,relu,0.5,a\n0.02,gelu,,b\n1e-3,relu,inf,"c,d"\n'
FORMULAS = (
    "layers * lr < 0.5",
    "act == 'relu' and not (layers >= 3 or lr > 1e-3)",
    "min(layers, 4) <= abs(-2)",
)
AMOUNTS = ("90s", "1.5h", "500MB", "1e3", "2030-01-31T18:00+00:00", "12")
JUNK = [*"\0'\"\\%é" + "\u202e\ud800([{],\n", "", "NaN", "9" * 400]
ODD = [None, True, -1, 2**70, 0.5, "", "x" * 300, [], {}, [[]], {"$float": "inf"}, "\0", "nan", {"a": [1]}]


def of_text(rng: random.Random, text: str) -> str:
    """Change a text at a few places."""
    for _ in range(rng.randint(1, 4)):
        at, end = sorted(rng.randint(0, len(text)) for _ in range(2))
        at = max(at, end - 20)
        piece = rng.choice([rng.choice(JUNK), text[at:end] * 2, chr(rng.randrange(1, 0xD800))])
        text = text[:at] + piece + text[end if rng.random() < 0.5 else at :]
    return text


def of_form(rng: random.Random, form: Any) -> Any:
    """Change what JSON holds at one place, whatever its depth."""
    if isinstance(form, dict) and form and rng.random() < 0.85:
        key = rng.choice(list(form))
        if rng.random() < 0.1:
            return {name: value for name, value in form.items() if name != key}
        if rng.random() < 0.1:
            return {**form, of_text(rng, key): form[key]}
        return {**form, key: of_form(rng, form[key])}
    if isinstance(form, list) and form and rng.random() < 0.85:
        at = rng.randrange(len(form))
        return [*form[:at], of_form(rng, form[at]), *form[at + 1 :]]
    if isinstance(form, str) and rng.random() < 0.3:
        return of_text(rng, form)
    return copy.deepcopy(rng.choice(ODD))


def a_form_of(kind: Any, value: Any) -> Callable[[random.Random, Path], object]:
    form = write(kind, value)
    return lambda rng, folder: read(kind, of_form(rng, form))


def a_ledger_address(rng: random.Random, folder: Path) -> object:
    text = rng.choice(PLACES)
    scheme = text.partition(":")[0]
    return ServerAddress.parse(of_text(rng, text), scheme, ("sslmode",)).public


def a_constraint(rng: random.Random, folder: Path) -> object:
    parameters = {name: SPACE[name] for name in ("lr", "layers", "act")}
    return Space(parameters, constraints=[of_text(rng, rng.choice(FORMULAS))])


def a_space(rng: random.Random, folder: Path) -> object:
    return Space.from_json(of_form(rng, SPACE.to_json()))


def foreign_json(rng: random.Random, folder: Path) -> object:
    try:
        return decode_foreign(of_text(rng, json.dumps(write(StudySpec, SPEC))))
    except ValueError as error:
        raise InputError(str(error)) from None  # as its callers do


def an_amount(rng: random.Random, folder: Path) -> object:
    parse = rng.choice([parse_seconds, parse_megabytes, parse_count, parse_number, parse_moment])
    return parse("--x", of_text(rng, rng.choice(AMOUNTS)))


def json_lines(rng: random.Random, folder: Path) -> object:
    lines = list(to_lines(StudySnapshot(SPEC, [SPACE.to_json()])))
    return from_lines(of_text(rng, "\n".join(lines)).splitlines())


def a_table(rng: random.Random, folder: Path) -> object:
    path = folder / "results.csv"
    path.write_bytes(of_text(rng, TABLE).encode("utf-8", "surrogatepass"))
    return read_results(path, name="study", values=["loss"])


def a_journal(rng: random.Random, folder: Path) -> object:
    text = (ASSETS / "optuna" / rng.choice(["optuna-3.log", "optuna-5.log"])).read_text(encoding="utf-8")
    path = folder / "optuna.log"
    path.write_bytes(of_text(rng, text).encode("utf-8", "surrogatepass"))
    return list_studies(path)


PARSERS: dict[str, Callable[[random.Random, Path], object]] = {
    "the address of a ledger": a_ledger_address,
    "a constraint": a_constraint,
    "a space": a_space,
    "JSON of others": foreign_json,
    "a study on the wire": a_form_of(StudySpec, SPEC),
    "a claim on the wire": a_form_of(Claim, CLAIM),
    "an outcome on the wire": a_form_of(Outcome, OUTCOME),
    "an amount on the command line": an_amount,
    "JSON Lines": json_lines,
    "a table of results": a_table,
    "an Optuna journal": a_journal,
}


def feed(name: str, folder: Path, *, seed: int, cases: int) -> None:
    print(f"seed {seed}")
    refused = 0
    for case in range(cases):
        error = outcome_of(PARSERS[name], random.Random(f"{seed}-{case}"), folder)
        if error is not None:
            refused += 1
            assert isinstance(error, ModelwrightError), f"case {case} of seed {seed} gives {error!r}"
            assert error.code
            assert error.message
            assert len(str(error)) < 5000
    assert 0 < refused < cases, "nothing, or everything, was refused"


def outcome_of(
    parser: Callable[[random.Random, Path], object], rng: random.Random, folder: Path
) -> Exception | None:
    try:
        parser(rng, folder)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("name", PARSERS)
def test_a_few_hundred_cases(name: str, tmp_path: Path) -> None:
    feed(name, tmp_path, seed=1, cases=200)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", PARSERS)
def test_10000_cases(name: str, tmp_path: Path) -> None:
    feed(name, tmp_path, seed=2, cases=10_000)

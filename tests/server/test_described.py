"""Requests drawn from the description of the interface: each is answered, and none makes the server fail."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from modelwright.records import Proposal, Provenance
from modelwright.server import make_app
from modelwright.server.guard import Guard
from modelwright.space import Float, Space
from modelwright.storage import Claim, Storage, open_storage
from modelwright.storage.base import WorkerInfo
from modelwright.testing.storage import complete, make_spec

PLACES = {
    "name": ["study"],
    "study_id": [1, 1, 1, 7],
    "number": [0, 1, 2, 3, 9],
    "dataset_id": [1],
    "index": [0],
}
TEXTS = ["study", "w", "c", "x", "0", "", "n\0ul", "\ud800", "'; --", "naïve 漢字 🦜", "../..", "long" * 200]
WHOLE = [0, 1, 2, 3, -1, 2**31, 2**53, 2**63 - 1, -(2**63), 2**70]
NUMBERS = [0.0, 0.5, 1, -1.0, 60, 5e-324, 1e300, -1e300, 2**70, math.inf, -math.inf, math.nan]
SPACE = Space(x=Float(0, 1)).to_json()


class Drawn:
    """Values drawn at random, most of them as a schema has them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, schema: Any) -> Any:
        if self.random.random() < 0.02:
            return self.anything(3)
        choices = schema.get("anyOf") or schema.get("oneOf")
        if choices:
            return self.value(self.random.choice(choices))
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if schema.get("description", "").startswith("JSON form of a space"):
            return SPACE
        return getattr(self, schema.get("type", "anything"))(schema)

    def anything(self, depth: Any) -> Any:
        kinds = ["string", "integer", "number", "boolean", "null"]
        if depth and self.random.random() < 0.4:
            kinds = ["array", "object"]
        inner = {"items": {}, "additionalProperties": True}
        return getattr(self, self.random.choice(kinds))(inner)

    def object(self, schema: Any) -> Any:
        if "properties" not in schema:
            return {self.random.choice(TEXTS): self.anything(0) for _ in range(self.random.randrange(3))}
        required = schema.get("required", ())
        return {
            name: self.value(part)
            for name, part in schema["properties"].items()
            if name in required or self.random.random() < 0.5
        }

    def array(self, schema: Any) -> Any:
        size = self.random.randrange(schema.get("minItems", 0), schema.get("maxItems", 3) + 1)
        return [self.value(schema["items"]) for _ in range(size)]

    def string(self, _: Any) -> Any:
        return self.random.choice(TEXTS)

    def integer(self, _: Any) -> Any:
        return self.random.choice(WHOLE)

    def number(self, _: Any) -> Any:
        number = self.random.choice(NUMBERS)
        return number if math.isfinite(number) else {"$float": repr(number)}

    def boolean(self, _: Any) -> Any:
        return self.random.random() < 0.5

    def null(self, _: Any) -> Any:
        return None


@pytest.fixture(
    params=[
        "memory",
        "sqlite",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "mysql")),
    ]
)
def ledger(
    request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[str], str]
) -> Iterator[Storage]:
    urls = {"sqlite": f"sqlite:///{tmp_path / 'hub.db'}", "memory": "memory://"}
    storage = open_storage(urls.get(request.param) or new_database(request.param))
    yield storage
    storage.close()


@pytest.fixture
def app(ledger: Storage, token: str, tmp_path: Path) -> Iterator[Guard]:
    app = make_app(ledger, token, artifacts=tmp_path)
    yield app
    app.close()


def fill(ledger: Storage) -> None:
    """Make sure that the study 1 is there, with a trial in each state."""
    if any(record.spec.name == "study" for record in ledger.studies()):
        return
    ledger.register_worker(WorkerInfo("w", "host", 1, "boot", 1.0))
    study = ledger.create_study(make_spec())
    for name in ("c", "d", "e"):
        claim = ledger.claim(study.id, "w", name, 3600)
        assert isinstance(claim, Claim)
        ledger.propose(claim, Proposal({"x": 0.5, "n": 1, "k": "a"}), Provenance(), 0)
    ledger.finish(claim, complete(), "e")
    ledger.enqueue(study.id, {"x": 0.5}, {})


@pytest.mark.parametrize("seed", range(4))
def test_no_request_makes_the_server_fail(call: Any, ledger: Storage, seed: int) -> None:
    paths = call("GET", "/api/v1/openapi.json").json["paths"]
    operations = [(verb, path, item) for path, verbs in paths.items() for verb, item in verbs.items()]
    drawn = Drawn(seed)
    fill(ledger)
    for _ in range(300):
        verb, target, headers, body = request_of(drawn, *drawn.random.choice(operations))
        answer = call(verb, target, None, headers, raw=body)
        assert answer.status < 500, (verb, target, body, answer.body)
        if answer.status == 200 and verb == "DELETE":
            fill(ledger)


def request_of(
    drawn: Drawn, verb: str, path: str, described: Any
) -> tuple[str, str, dict[str, str], bytes | None]:
    """Return verb, address, headers and body of a request as it is described."""
    query = []
    for parameter in described.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", str(drawn.random.choice(PLACES[name])))
        elif parameter["required"] or drawn.random.random() < 0.5:
            value = drawn.value(parameter["schema"])
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            query.append(f"{name}={quote(text.encode('utf-8', 'surrogatepass'), safe='')}")
    target = path + ("?" + "&".join(query) if query else "")
    content = described.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        body = json.dumps(drawn.value(content["application/json"]["schema"]))
        return verb.upper(), target, {}, body.encode()
    return verb.upper(), target, {"content-type": "application/octet-stream"}, b"bytes" if content else None

"""The contract of storages, method by method, as requests: what `HTTPStorage` speaks to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from modelwright._base.registry import nearest
from modelwright.errors import InputError, StudyNotFoundError
from modelwright.server.bodies import read_body, read_json
from modelwright.server.bounds import check_adopted, check_id, check_lease, check_limit
from modelwright.server.calls import Endpoint, Lanes, answering
from modelwright.server.limits import Limits
from modelwright.server.queries import read_query, refuse_query, repeat_key
from modelwright.server.repeats import Repeats
from modelwright.storage import Storage
from modelwright.storage.http.routes import MOST_EVENTS, Argument, Route, whole_number
from modelwright.storage.jsontext import encode_large
from modelwright.storage.wire import MismatchError

__all__ = ["Ledger"]

_BATCHES = frozenset({"adopt", "add_partitions"})
_LARGE = frozenset(
    {"create_study", "add_space", "enqueue", "propose", "extend", "finish", "report", "set_user_attrs"}
    | {"set_trial_attrs", "add_dataset", "add_ensemble", "trim", "renew"}
)
_CLAIM = ("study_id", "number")
_IDS = {"worker_id", "claim_id", "result_id"}


class Ledger:
    """Endpoints for each route of `modelwright.storage.http.routes`.

    Parameters
    ----------
    storage : Storage
        Who does what is asked.
    lanes : Lanes
        Where it is done.
    limits : Limits
        Bounds on bodies.
    """

    def __init__(self, storage: Storage, lanes: Lanes, limits: Limits) -> None:
        self._storage = storage
        self._lanes = lanes
        self._limits = limits
        self._repeats = Repeats()

    def endpoint(self, route: Route) -> Endpoint:
        """Return what answers requests of one route."""
        limits = self._limits
        calls = self._lanes.read if route.verb == "GET" else self._lanes.write
        most = limits.body
        if route.name in _BATCHES | _LARGE:
            most = limits.batch_body if route.name in _BATCHES else limits.large_body

        async def endpoint(request: Request) -> Response:
            body = await read_body(request, most, limits.body_timeout_s) if route.in_body else b""
            return await calls.answer(lambda: self._answer(route, request, body))

        return answering(endpoint)

    def _answer(self, route: Route, request: Request, body: bytes) -> str:
        arguments = _arguments(route, request, body)

        def work() -> str:
            result = getattr(self._storage, route.name)(**arguments)
            return encode_large(route.result.write(result))

        key = "" if route.verb == "GET" else repeat_key(request)
        return self._repeats.once(key and f"{route.name} {key}", work)


def _arguments(route: Route, request: Request, body: bytes) -> dict[str, Any]:
    """Return the arguments of a method from the path, the query and the body of a request.

    Raises
    ------
    InputError, RefusedError, StudyNotFoundError or KeyError
        They are not what the method takes.
    """
    places = {name: _id(name, text) for name, text in request.path_params.items()}
    given: dict[str, Any] = {name: number for name, number in places.items() if name in route.arguments}
    if route.in_body:
        refuse_query(request)
        for name, form in read_json(body).items():
            given[name] = _read(_argument(route, name, "body"), form)
    else:
        for name, text in read_query(request).items():
            given[name] = _argument(route, name, "query").from_query(text)
    for argument in route.arguments.values():
        if argument.required and argument.name not in given:
            raise InputError(f"{argument.name} is missing.", code="E_FORM")
    _check(route.name, given, places)
    return given


def _check(method: str, given: Mapping[str, Any], places: Mapping[str, int]) -> None:
    """Refuse arguments that are of their types and still make no sense."""
    claim = given.get("claim")
    if claim is not None and places and (claim.study_id, claim.number) != tuple(places[k] for k in _CLAIM):
        raise InputError("the claim is one for another trial than the path names.", code="E_FORM")
    for name in _IDS & set(given):
        check_id(name, given[name])
    if "lease_s" in given:
        check_lease(given["lease_s"])
    if "spec" in given:
        check_lease(given["spec"].lease_s)
    if method == "adopt":
        for item in given["trials"]:
            check_adopted(item)
    if "limit" in given:
        check_limit(given["limit"], MOST_EVENTS)


def _id(name: str, text: str) -> int:
    """Return an id from a path. One that cannot exist is not found, like one that does not."""
    number = whole_number(text)
    if number is not None:
        return number
    if name == "study_id":
        raise StudyNotFoundError(f"there is no study with the id {text[:40]!r}.")
    raise KeyError(f"there is nothing with the number {text[:40]!r}")


def _argument(route: Route, name: str, place: str) -> Argument:
    argument = route.arguments.get(name)
    if argument is None or argument.place != place:
        known = [item.name for item in route.arguments.values() if item.place == place]
        hint = nearest(name, known) if known else "It takes none."
        raise InputError(f"there is no field {name[:40]!r} here.", hint=hint, code="E_FORM")
    return argument


def _read(argument: Argument, form: Any) -> Any:
    try:
        return argument.form.read(form)
    except MismatchError as error:
        place = argument.name + "".join(reversed(error.path))
        raise InputError(f"{place}: {error.words}.", code="E_FORM") from None

"""The ledger behind a `modelwright serve`, as one more storage."""

# What `_call` returns is checked as it is read, by the types of the contract.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from modelwright.records import (
    Artifact,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudySpec,
    StudyState,
    Trial,
    TrialState,
)
from modelwright.storage.base import (
    KEEP,
    AdoptedTrial,
    Attempt,
    Changes,
    Claim,
    Controls,
    Dataset,
    EnsembleRecord,
    Event,
    Finish,
    Keep,
    NoClaim,
    Partition,
    StudyRecord,
    WorkerInfo,
)
from modelwright.storage.http.files import HTTPArtifactStore
from modelwright.storage.http.requests import request_of
from modelwright.storage.http.routes import MOST_EVENTS, routes
from modelwright.storage.http.settled import Settled, adoption, creation, deletion
from modelwright.storage.http.transport import Transport
from modelwright.storage.jsontext import decode

__all__ = ["HTTPStorage"]


class HTTPStorage:
    """A storage whose every method is one request; see `Storage` for what they do.

    Parameters
    ----------
    url : str
        Where `modelwright serve` is, such as ``"http://127.0.0.1:8090"``.
    token : str
        What it asks for.
    **options
        See `Transport`: ``cafile``, ``connect_timeout_s``, ``read_timeout_s``, ``patience_s``.
    """

    def __init__(self, url: str, token: str, **options: Any) -> None:
        self.url = url
        self.transport = Transport(url, token, **options)

    def __repr__(self) -> str:
        return f"HTTPStorage({self.url!r})"

    def _call(self, method: str, check: Callable[[], None] | None = None, /, **arguments: Any) -> Any:
        """Return what the server answers; before a repeated request `check` looks whether it is settled."""
        route = routes()[method]
        place, body = request_of(route, arguments)
        headers = {} if route.verb == "GET" else {"Idempotency-Key": uuid.uuid4().hex}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            answer = self.transport.request(
                route.verb, place, body=body, headers=headers, before_repeat=check
            )
        except Settled as settled:
            return settled.result
        return route.result.read(decode(answer.data.decode()))

    # studies -----------------------------------------------------------------------------------------

    def create_study(self, spec: StudySpec) -> StudyRecord:
        """See `Storage.create_study`."""
        return self._call("create_study", creation(self, spec), spec=spec)

    def study(self, name: str) -> StudyRecord:
        """See `Storage.study`."""
        return self._call("study", name=name)

    def studies(self) -> list[StudyRecord]:
        """See `Storage.studies`."""
        return self._call("studies")

    def delete_study(self, name: str, *, force: bool = False) -> None:
        """See `Storage.delete_study`."""
        self._call("delete_study", deletion(self, name), name=name, force=force)

    def rename_study(self, study_id: int, name: str, *, who: str = "") -> StudyRecord:
        """See `Storage.rename_study`."""
        return self._call("rename_study", study_id=study_id, name=name, who=who)

    def set_priority(self, study_id: int, priority: int, *, who: str = "") -> StudyRecord:
        """See `Storage.set_priority`."""
        return self._call("set_priority", study_id=study_id, priority=priority, who=who)

    def set_state(
        self,
        study_id: int,
        state: StudyState,
        *,
        expected: StudyState | None = None,
        abort: bool = False,
        who: str = "",
    ) -> StudyRecord:
        """See `Storage.set_state`."""
        return self._call(
            "set_state", study_id=study_id, state=state, expected=expected, abort=abort, who=who
        )

    def set_budget(
        self,
        study_id: int,
        trials: int | Keep | None = KEEP,
        *,
        time_s: float | Keep | None = KEEP,
        deadline_us: int | Keep | None = KEEP,
        cost: float | Keep | None = KEEP,
        parallel: int | Keep | None = KEEP,
        who: str = "",
    ) -> StudyRecord:
        """See `Storage.set_budget`."""
        return self._call(
            "set_budget",
            study_id=study_id,
            trials=trials,
            time_s=time_s,
            deadline_us=deadline_us,
            cost=cost,
            parallel=parallel,
            who=who,
        )

    def set_window(self, study_id: int, window: int) -> StudyRecord:
        """See `Storage.set_window`."""
        return self._call("set_window", study_id=study_id, window=window)

    def set_started(self, study_id: int, started_us: int) -> StudyRecord:
        """See `Storage.set_started`."""
        return self._call("set_started", study_id=study_id, started_us=started_us)

    def set_user_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> StudyRecord:
        """See `Storage.set_user_attrs`."""
        return self._call("set_user_attrs", study_id=study_id, attrs=attrs)

    def add_space(
        self, study_id: int, space: Mapping[str, Any], based_on: int, *, who: str = ""
    ) -> StudyRecord:
        """See `Storage.add_space`."""
        return self._call("add_space", study_id=study_id, space=space, based_on=based_on, who=who)

    def spaces(self, study_id: int) -> list[Mapping[str, Any]]:
        """See `Storage.spaces`."""
        return self._call("spaces", study_id=study_id)

    # trials ------------------------------------------------------------------------------------------

    def enqueue(
        self,
        study_id: int,
        params: Mapping[str, Any],
        user_attrs: Mapping[str, Any],
        *,
        request_id: str = "",
        who: str = "",
    ) -> int:
        """See `Storage.enqueue`."""
        return self._call(
            "enqueue",
            study_id=study_id,
            params=params,
            user_attrs=user_attrs,
            request_id=request_id or uuid.uuid4().hex,
            who=who,
        )

    def claim(self, study_id: int, worker_id: str, claim_id: str, lease_s: float) -> Claim | NoClaim:
        """See `Storage.claim`."""
        return self._call("claim", study_id=study_id, worker_id=worker_id, claim_id=claim_id, lease_s=lease_s)

    def release(self, claim: Claim, why: str, *, close: bool = False) -> bool:
        """See `Storage.release`."""
        return self._call("release", claim=claim, why=why, close=close)

    def renew(self, claims: Sequence[Claim], lease_s: float) -> Controls:
        """See `Storage.renew`."""
        return self._call("renew", claims=claims, lease_s=lease_s)

    def propose(
        self,
        claim: Claim,
        proposal: Proposal,
        provenance: Provenance,
        space_version: int,
        *,
        unique: bool = False,
    ) -> int | None:
        """See `Storage.propose`."""
        return self._call(
            "propose",
            claim=claim,
            proposal=proposal,
            provenance=provenance,
            space_version=space_version,
            unique=unique,
        )

    def extend(self, claim: Claim, params: Mapping[str, Any], space_version: int) -> None:
        """See `Storage.extend`."""
        self._call("extend", claim=claim, params=params, space_version=space_version)

    def report(self, claim: Claim, reports: Sequence[Report]) -> bool:
        """See `Storage.report`."""
        return self._call("report", claim=claim, reports=reports)

    def finish(self, claim: Claim, outcome: Outcome, result_id: str) -> Finish:
        """See `Storage.finish`."""
        return self._call("finish", claim=claim, outcome=outcome, result_id=result_id)

    def kill(self, study_id: int, number: int, *, who: str = "") -> Trial:
        """See `Storage.kill`."""
        return self._call("kill", study_id=study_id, number=number, who=who)

    def adopt(self, study_id: int, trials: Sequence[AdoptedTrial], *, who: str = "") -> list[int]:
        """See `Storage.adopt`."""
        check = adoption(self, study_id, trials)
        return self._call("adopt", check, study_id=study_id, trials=trials, who=who)

    def trial(self, study_id: int, number: int) -> Trial:
        """See `Storage.trial`."""
        return self._call("trial", study_id=study_id, number=number)

    def trials(self, study_id: int, states: Sequence[TrialState] | None = None) -> list[Trial]:
        """See `Storage.trials`."""
        return self._call("trials", study_id=study_id, states=states)

    def reports(self, study_id: int, number: int) -> list[Report]:
        """See `Storage.reports`."""
        return self._call("reports", study_id=study_id, number=number)

    def attempts(self, study_id: int, number: int | None = None) -> list[Attempt]:
        """See `Storage.attempts`."""
        return self._call("attempts", study_id=study_id, number=number)

    def counts(self, study_id: int) -> Mapping[TrialState, int]:
        """See `Storage.counts`."""
        return self._call("counts", study_id=study_id)

    def changes(self, study_id: int, since: int) -> Changes:
        """See `Storage.changes`."""
        return self._call("changes", study_id=study_id, since=since)

    def events(self, study_id: int, since: int = 0, limit: int = 1000) -> list[Event]:
        """See `Storage.events`."""
        result: list[Event] = []
        while len(result) < limit:
            page = min(limit - len(result), MOST_EVENTS)
            found = self._call("events", study_id=study_id, since=since, limit=page)
            result += found
            if len(found) < page:
                break
            since = result[-1].revision
        return result

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """See `Storage.set_trial_attrs`."""
        self._call("set_trial_attrs", study_id=study_id, number=number, attrs=attrs)

    def artifacts(self, study_id: int, number: int | None = None) -> list[tuple[int, Artifact]]:
        """See `Storage.artifacts`."""
        return self._call("artifacts", study_id=study_id, number=number)

    def trim(self, study_id: int, numbers: Sequence[int], *, who: str = "") -> None:
        """See `Storage.trim`."""
        self._call("trim", study_id=study_id, numbers=numbers, who=who)

    # workers -----------------------------------------------------------------------------------------

    def register_worker(self, info: WorkerInfo) -> WorkerInfo:
        """See `Storage.register_worker`."""
        return self._call("register_worker", info=info)

    def workers(self, study_id: int | None = None) -> list[WorkerInfo]:
        """See `Storage.workers`."""
        return self._call("workers", study_id=study_id)

    def ask_worker(self, worker_id: str, wish: Literal["", "drain", "now"], *, who: str = "") -> WorkerInfo:
        """See `Storage.ask_worker`."""
        return self._call("ask_worker", worker_id=worker_id, wish=wish, who=who)

    def retire_worker(self, worker_id: str) -> None:
        """See `Storage.retire_worker`."""
        self._call("retire_worker", worker_id=worker_id)

    def forfeit(self, worker_id: str, why: str) -> list[int]:
        """See `Storage.forfeit`."""
        return self._call("forfeit", worker_id=worker_id, why=why)

    # tables of AutoML --------------------------------------------------------------------------------

    def add_dataset(self, dataset: Dataset) -> int:
        """See `Storage.add_dataset`."""
        return self._call("add_dataset", dataset=dataset)

    def dataset(self, dataset_id: int) -> Dataset:
        """See `Storage.dataset`."""
        return self._call("dataset", dataset_id=dataset_id)

    def add_partitions(self, study_id: int, partitions: Sequence[Partition]) -> None:
        """See `Storage.add_partitions`."""
        self._call("add_partitions", study_id=study_id, partitions=partitions)

    def partitions(self, study_id: int) -> list[Partition]:
        """See `Storage.partitions`."""
        return self._call("partitions", study_id=study_id)

    def set_partition_status(self, study_id: int, index: int, status: str) -> None:
        """See `Storage.set_partition_status`."""
        self._call("set_partition_status", study_id=study_id, index=index, status=status)

    def lease_ensemble(self, study_id: int, worker_id: str, lease_s: float) -> bool:
        """See `Storage.lease_ensemble`."""
        return self._call("lease_ensemble", study_id=study_id, worker_id=worker_id, lease_s=lease_s)

    def release_ensemble(self, study_id: int, worker_id: str) -> None:
        """See `Storage.release_ensemble`."""
        self._call("release_ensemble", study_id=study_id, worker_id=worker_id)

    def add_ensemble(self, study_id: int, worker_id: str, ensemble: EnsembleRecord) -> bool:
        """See `Storage.add_ensemble`."""
        return self._call("add_ensemble", study_id=study_id, worker_id=worker_id, ensemble=ensemble)

    def ensembles(self, study_id: int) -> list[EnsembleRecord]:
        """See `Storage.ensembles`."""
        return self._call("ensembles", study_id=study_id)

    # files -------------------------------------------------------------------------------------------

    def artifact_store(self, study_id: int) -> HTTPArtifactStore:
        """Return the store of a study's files, which the server keeps."""
        return HTTPArtifactStore(self.transport, study_id)

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

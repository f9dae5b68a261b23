"""What holds of a study's ledger at any moment, read through the contract only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from modelwright.records import Trial, TrialState
from modelwright.storage.base import Attempt, Event, Storage, StudyRecord
from modelwright.storage.plain import config_key

__all__ = ["audit"]

_PAGE = 1000


def audit(storage: Storage, study_id: int) -> None:
    """Raise `AssertionError` that names each promise which the ledger of a study has broken.

    The study must not be written to meanwhile. Trials that came from elsewhere (`Storage.adopt`) are held
    only to what a ledger can know of them.

    Parameters
    ----------
    storage : Storage
        Any storage.
    study_id : int
        The study's key.
    """
    study = storage.changes(study_id, 0).study
    trials = storage.trials(study_id)
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in storage.attempts(study_id):
        attempts[attempt.number].append(attempt)
    events = list(_all_events(storage, study_id))
    broken = [
        *_numbers(study, trials, events),
        *_budget(study, events),
        *_attempts(study, trials, attempts, events),
        *_order(study, trials),
        *_events(study, trials, events),
        *_results(storage, study_id, trials, events),
        *_repeats(study, trials),
    ]
    if broken:
        shown = "\n".join(f"- {line}" for line in broken[:50])
        raise AssertionError(
            f"the ledger of the study {study.spec.name!r} breaks {len(broken)} promises:\n{shown}"
        )


def _all_events(storage: Storage, study_id: int) -> Iterator[Event]:
    since = 0
    while page := storage.events(study_id, since, _PAGE):
        yield from page
        if page[-1].revision <= since:
            return  # they do not rise, which `_events` tells
        since = page[-1].revision


def _of_kind(events: Sequence[Event], *kinds: str) -> set[int]:
    return {event.number for event in events if event.kind in kinds and event.number is not None}


def _floors(events: Sequence[Event]) -> Counter[int]:
    """Return the fence at which each number was given back: its next life is above."""
    floors: Counter[int] = Counter()
    for event in events:
        if event.kind == "release" and event.payload.get("given_back"):
            floors[event.number or 0] = event.fence or 0
    return floors


def _numbers(study: StudyRecord, trials: Sequence[Trial], events: Sequence[Event]) -> Iterator[str]:
    numbers = [trial.number for trial in trials]
    if len(set(numbers)) < len(numbers):
        yield f"numbers are unique: {sorted(n for n, count in Counter(numbers).items() if count > 1)} are not"
    if numbers != sorted(numbers):
        yield "trials are read by number"
    if numbers and not 0 <= min(numbers) <= max(numbers) < study.issued:
        yield f"numbers are issued: {max(numbers)} is not below {study.issued}"
    foreign = _of_kind(events, "adopt")
    if not foreign and len(numbers) != study.issued:
        missing = sorted(set(range(study.issued)) - set(numbers))
        yield f"numbers are contiguous: of {study.issued} these are missing: {missing[:20]}"


def _budget(study: StudyRecord, events: Sequence[Event]) -> Iterator[str]:
    """Count the numbers as the events issued them, each within the budget of its moment."""
    budget: int | None = None
    issued = 0
    for event in events:
        number = -1 if event.number is None else event.number
        if event.kind == "budget":
            budget = event.payload.get("trials", budget)
        elif event.kind in ("enqueue", "adopt"):
            issued = max(issued, number + 1)
            budget = None if budget is None else max(budget, issued)
        elif event.kind == "claim" and number >= issued:
            issued = number + 1
            if budget is not None and issued > budget:
                yield f"event {event.revision}: the number {number} was issued beyond the budget of {budget}"
        elif event.kind == "release" and event.payload.get("given_back"):
            issued = number
    if issued != study.issued:
        yield f"{study.issued} numbers are issued, and events tell of {issued}"


def _attempts(
    study: StudyRecord, trials: Sequence[Trial], attempts: dict[int, list[Attempt]], events: Sequence[Event]
) -> Iterator[str]:
    foreign = _of_kind(events, "adopt")
    floors = _floors(events)
    for trial in trials:
        name = f"trial {trial.number}"
        # A number that was given back starts anew, above the fences that it had.
        found = [attempt for attempt in attempts[trial.number] if attempt.fence > floors[trial.number]]
        fences = [attempt.fence for attempt in found]
        outcomes = [attempt.outcome for attempt in found]
        if fences != sorted(set(fences)):
            yield f"{name}: fences only rise: {fences}"
        if fences and fences[-1] > trial.fence:
            yield f"{name}: its fence is that of its latest attempt: {trial.fence}, not {fences[-1]}"
        if trial.state is TrialState.RUNNING and outcomes[-1:] != ["running"]:
            yield f"{name}: it runs, so its latest attempt does: {outcomes}"
        if "running" in (outcomes[:-1] if trial.state is TrialState.RUNNING else outcomes):
            yield f"{name}: it is {trial.state}, and yet an attempt runs: {outcomes}"
        accepted = [outcome for outcome in outcomes if outcome in ("complete", "pruned", "failed")]
        if len(accepted) > 1 or (accepted and accepted[0] != trial.state.value):
            yield f"{name}: one result counts, that of its state {trial.state}: {accepted}"
        if trial.number in foreign:
            continue
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and not accepted:
            yield f"{name}: it is {trial.state} by the result of an attempt: {outcomes}"
        if fences and fences[-1] != trial.fence:
            yield f"{name}: its fence is that of its latest attempt: {trial.fence}, not {fences[-1]}"
        if trial.attempts != len(found) - outcomes.count("released"):
            yield f"{name}: attempts are spent or released: {trial.attempts} of {outcomes}"
    charged = sum(attempt.cost or 0.0 for found in attempts.values() for attempt in found)
    if abs(charged - study.cost) > 1e-6 * max(1.0, abs(charged)):
        yield f"the study costs what its attempts cost: {study.cost}, not {charged}"


def _order(study: StudyRecord, trials: Sequence[Trial]) -> Iterator[str]:
    seen: dict[int, int] = {}
    for trial in trials:
        name = f"trial {trial.number}"
        if trial.state.finished != bool(trial.finished_revision):
            yield f"{name}: {trial.state} with the finishing revision {trial.finished_revision}"
        if not 0 <= trial.finished_revision <= trial.revision <= study.revision:
            yield f"{name}: its revisions are {trial.finished_revision}, {trial.revision} of {study.revision}"
        if (trial.failure is not None) != (trial.state is TrialState.FAILED):
            yield f"{name}: {trial.state} with the failure {trial.failure}"
        # What ends because leases ran out may end together.
        if trial.finished_revision and (trial.failure is None or trial.failure.kind.teaches):
            if trial.finished_revision in seen:
                yield f"{name}: it finished at the same revision as trial {seen[trial.finished_revision]}"
            seen[trial.finished_revision] = trial.number


def _events(study: StudyRecord, trials: Sequence[Trial], events: Sequence[Event]) -> Iterator[str]:
    revisions = [event.revision for event in events]
    if revisions != list(range(1, study.revision + 1)):
        yield f"each revision has one event: {len(revisions)} events, revision {study.revision}"
    floors = _floors(events)
    fences = {trial.number: max(trial.fence, floors[trial.number]) for trial in trials}
    for event in events:
        if event.number in fences and event.fence is not None and event.fence > fences[event.number]:
            yield f"event {event.revision}: its fence {event.fence} is newer than trial {event.number}'s"
    kinds = {event.revision: event.kind for event in events}
    for trial in trials:
        if kinds.get(trial.revision) == "stale":
            yield f"trial {trial.number}: a stale result changed it, at revision {trial.revision}"


def _results(
    storage: Storage, study_id: int, trials: Sequence[Trial], events: Sequence[Event]
) -> Iterator[str]:
    finished: Counter[int] = Counter(
        event.number for event in events if event.kind == "finish" and event.number is not None
    )
    for trial in trials:
        if finished[trial.number] > 1:
            yield f"trial {trial.number}: {finished[trial.number]} results were accepted"
    states = {trial.number: trial.state for trial in trials}
    counts = {state: count for state, count in storage.counts(study_id).items() if count}
    if counts != Counter(states.values()):
        yield f"counts are those of the trials: {counts}"
    for number, artifact in storage.artifacts(study_id):
        if number not in states or not states[number].finished:
            yield f"trial {number}: it has the artifact {artifact.name!r} without an accepted result"


def _repeats(study: StudyRecord, trials: Sequence[Trial]) -> Iterator[str]:
    if not study.spec.deterministic:
        return
    seen: dict[str, int] = {}
    for trial in trials:
        teaches = trial.failure is None or trial.failure.kind.teaches
        if trial.params is None or trial.enqueued or not teaches:
            continue
        first = seen.setdefault(config_key(trial.params, trial.fidelity), trial.number)
        if first != trial.number:
            yield f"trial {trial.number}: trial {first} has the same configuration"

"""Several studies of one thing into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from modelwright.errors import InputError
from modelwright.records import Budget, StudySpec, StudyState, Trial
from modelwright.space import Space
from modelwright.storage.base import AdoptedTrial, Partition, Storage
from modelwright.storage.plain import config_key
from modelwright.transfer.copying import gather_files
from modelwright.transfer.files import FileSource, renumbered
from modelwright.transfer.joining import join_spaces
from modelwright.transfer.snapshot import StudySnapshot, read_snapshot
from modelwright.transfer.writing import Written, write_snapshot

__all__ = ["Duplicates", "Merged", "merge_studies"]

Duplicates = Literal["auto", "keep", "drop"]

_LOCATIONS = ("model_location", "metrics_location")


@dataclass(frozen=True, slots=True)
class Merged:
    """What `merge_studies` did.

    Attributes
    ----------
    written : Written
        The new study.
    duplicates : int
        Trials that were left out because an equal one is there.
    unfinished : int
        Trials that were left out because they have no result.
    """

    written: Written
    duplicates: int
    unfinished: int


def merge_studies(
    sources: Sequence[tuple[Storage, str]],
    target: Storage,
    name: str,
    *,
    duplicates: Duplicates = "auto",
    files: bool = True,
    folder: Path | None = None,
) -> Merged:
    """Make one new study of the finished trials of several; the sources stay as they are.

    The studies must have the same parameters, of the same kinds and under the same conditions, and the same
    objectives. Ranges and choices may differ: the new study has the widest. Trials get new numbers, source
    after source in the order in which they finished, and keep in their user attributes where they came from:
    ``merged_from`` and ``merged_number``. Optimizer, scheduler and seed are those of the first source, and so
    are the user attributes that several have.

    Parameters
    ----------
    sources : sequence of (Storage, str)
        The studies, at least one.
    target : Storage
        Where the new study shall be.
    name : str
        Its name.
    duplicates : {"auto", "keep", "drop"}, default="auto"
        What happens to a configuration that an earlier source has finished at the same fidelity. By default
        it is left out if all sources are deterministic, and kept otherwise, since a second value of a noisy
        objective tells something.
    files : bool, default=True
        Whether the files of the trials are copied, under their new numbers. What else lies in the folder of
        source i goes into a folder ``i``, and what is of trials that are left out stays behind.
    folder : Path, optional
        Where they go; the usual place by default.

    Raises
    ------
    InputError
        The studies do not fit together; the message names the difference.
    StudyExistsError
        The name is taken.
    """
    if not sources:
        raise InputError("expected at least one study to merge, got none.")
    if duplicates not in ("auto", "keep", "drop"):
        raise InputError(f"expected duplicates to be 'auto', 'keep' or 'drop', got {duplicates!r}.")
    snapshots = [read_snapshot(storage, source) for storage, source in sources]
    spec = _joined_spec(name, snapshots)
    drop = duplicates == "drop" or (duplicates == "auto" and spec.deterministic)
    partitions, indexes = _joined_partitions(snapshots)
    joining = _Joining(drop)
    numbers = [joining.take(snapshot, str(i), indexes[i]) for i, snapshot in enumerate(snapshots)]
    whole = StudySnapshot(
        spec,
        [spec.space.to_json()],
        joining.trials,
        budget=Budget(trials=_sum_of_budgets(snapshots)),
        state=StudyState.PENDING,
        user_attrs={**_joined_attrs(snapshots), "merged_from": [item.spec.name for item in snapshots]},
        partitions=partitions,
        dataset=snapshots[0].dataset,
    )
    with ExitStack() as stack:
        places: list[FileSource] = []
        for i, (storage, source) in enumerate(sources if files else ()):
            place = gather_files(stack, storage, source, snapshots[i])
            places += [] if place is None else [FileSource(place, numbers[i], str(i))]
        written = write_snapshot(target, whole, folder=folder, files=places)
    return Merged(written, joining.duplicates, joining.unfinished)


def _joined_spec(name: str, snapshots: Sequence[StudySnapshot]) -> StudySpec:
    first = snapshots[0]
    for other in snapshots[1:]:
        if other.spec.objectives != first.spec.objectives:
            ours, theirs = (
                ", ".join(f"{item.name} ({item.direction})" for item in spec.objectives)
                for spec in (first.spec, other.spec)
            )
            raise InputError(
                f"the studies {first.spec.name!r} and {other.spec.name!r} have different objectives: "
                f"{ours} against {theirs}.",
                hint="Merge studies with the same objectives.",
                code="E_MERGE",
            )
    spaces = [(item.spec.name, Space.from_json(item.spaces[-1])) for item in snapshots]
    return replace(
        first.spec,
        name=name,
        space=join_spaces(spaces),
        deterministic=all(item.spec.deterministic for item in snapshots),
        reproducible=False,  # no single run could have made these trials
        description=first.spec.description if len(snapshots) == 1 else "",
        objective_ref=_common([item.spec.objective_ref for item in snapshots]),
    )


def _common(texts: Sequence[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else ""


def _joined_attrs(snapshots: Sequence[StudySnapshot]) -> dict[str, Any]:
    return {name: value for item in reversed(snapshots) for name, value in item.user_attrs.items()}


def _sum_of_budgets(snapshots: Sequence[StudySnapshot]) -> int | None:
    """Return what the studies may have in trials together; taking trials in raises it where needed."""
    budgets = [item.budget.trials for item in snapshots]
    return None if None in budgets else sum(budget for budget in budgets if budget is not None)


def _joined_partitions(snapshots: Sequence[StudySnapshot]) -> tuple[list[Partition], list[dict[int, int]]]:
    """Return the different partitions of all sources, and for each source the new index by the old one."""
    joined: list[Partition] = []
    indexes: list[dict[int, int]] = []
    for snapshot in snapshots:
        own: dict[int, int] = {}
        for item in snapshot.partitions:
            same = (other for other in joined if _identity(other) == _identity(item))
            found = next(same, None)
            if found is None:
                found = replace(item, index=len(joined), status="incomplete")
                joined.append(found)
            own[item.index] = found.index
        indexes.append(own)
    return joined, indexes


def _identity(item: Partition) -> tuple[Any, ...]:
    return item.method, dict(item.categoricals), list(item.tunables), dict(item.constants)


@dataclass
class _Joining:
    """The trials taken so far, under their new numbers."""

    drop: bool
    trials: list[AdoptedTrial] = field(default_factory=list)
    duplicates: int = 0
    unfinished: int = 0
    _known: dict[str, int] = field(default_factory=dict)

    def take(self, snapshot: StudySnapshot, below: str, partitions: Mapping[int, int]) -> dict[int, int]:
        """Add the finished trials of one source, and return their new numbers by the old ones.

        Files that are of no trial go to `below`.
        """
        origin = _Origin(snapshot.spec.name, below, partitions)
        earlier = dict(self._known)
        for item in snapshot.trials:
            trial = item.trial
            if not trial.state.finished:
                self.unfinished += 1
                continue
            key = None if trial.params is None else config_key(trial.params, trial.fidelity)
            if self.drop and key in earlier:
                origin.equals[trial.number] = earlier[key]
                self.duplicates += 1
                continue
            number = len(self.trials)
            origin.numbers[trial.number] = number
            if key is not None and (trial.failure is None or trial.failure.kind.teaches):
                self._known.setdefault(key, number)
            self.trials.append(origin.moved(item))
        return origin.numbers


@dataclass
class _Origin:
    """One source, as far as its trials have been taken.

    `numbers` are new numbers by old ones; `equals` those of trials that stand for some that were left out.
    """

    study: str
    below: str
    partitions: Mapping[int, int]
    numbers: dict[int, int] = field(default_factory=dict)
    equals: dict[int, int] = field(default_factory=dict)

    def moved(self, item: AdoptedTrial) -> AdoptedTrial:
        """Return a trial as it is in the new study."""
        trial = item.trial
        number = self.numbers[trial.number]
        return AdoptedTrial(
            replace(
                trial,
                number=number,
                parent=self._parent(trial),
                partition=None if trial.partition is None else self.partitions.get(trial.partition),
                space_version=0,
                user_attrs={**trial.user_attrs, "merged_from": self.study, "merged_number": trial.number},
                metrics={
                    name: self._location(value) if name in _LOCATIONS and isinstance(value, str) else value
                    for name, value in trial.metrics.items()
                },
            ),
            number,
            item.reports,
            [replace(attempt, number=number) for attempt in item.attempts],
            [replace(artifact, location=self._location(artifact.location)) for artifact in item.artifacts],
        )

    def _parent(self, trial: Trial) -> int | None:
        if trial.parent is None:
            return None
        # A parent that finished after its child, or never, has no number yet.
        return self.numbers.get(trial.parent, self.equals.get(trial.parent))

    def _location(self, location: str) -> str:
        return renumbered(location, self.numbers, self.below) or location

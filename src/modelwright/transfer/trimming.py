"""Room made in a study: reports, artifacts and files of all but the best trials go; results stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelwright.analysis.best import pareto_trials
from modelwright.errors import InputError
from modelwright.records import Artifact, Objective, Trial, TrialState
from modelwright.storage.base import Storage
from modelwright.study.who import this_user
from modelwright.transfer.copying import folder_of
from modelwright.transfer.files import inside, remove_files
from modelwright.transfer.remote import clear_attempts, delete_files, keeps_files

__all__ = ["TrimPlan", "plan_trim", "trim_study"]

_BATCH = 500


@dataclass(frozen=True, slots=True)
class TrimPlan:
    """What a trim takes away, or took.

    Attributes
    ----------
    numbers : tuple of int
        The trials whose reports and artifacts go.
    artifacts : int
        How many artifacts these have.
    files, size : int
        How many of their files are in the study's folder, and their bytes.
    """

    numbers: tuple[int, ...]
    artifacts: int
    files: int
    size: int


def plan_trim(
    storage: Storage, name: str, keep_best: int, *, files: bool = True, folder: Path | None = None
) -> TrimPlan:
    """Return what `trim_study` would take away."""
    chosen = _chosen(storage, name, keep_best, files, folder)
    sizes = [item.size for item in chosen.served]
    if chosen.place is not None:
        sizes = _sizes(chosen.place, chosen.locations)
    return TrimPlan(tuple(chosen.numbers), chosen.artifacts, len(sizes), sum(sizes))


def trim_study(
    storage: Storage, name: str, keep_best: int, *, files: bool = True, folder: Path | None = None
) -> TrimPlan:
    """Forget the reports and artifacts of the finished trials that are not among the best.

    Configurations, values, failures and attempts stay, so optimizers go on as before; a scheduler that
    compares reports loses those of the trimmed trials. Called again, it goes on where it was cut off.

    Parameters
    ----------
    storage : Storage
        Where the study is.
    name : str
        The study.
    keep_best : int
        How many of the best complete trials keep everything. With several objectives the Pareto front counts
        as best, and after it the front of the rest, and so on.
    files : bool, default=True
        Whether the trials' files are removed too. Only files within the study's folder are, never through a
        link; of a study on a server, the files of artifacts.
    folder : Path, optional
        The study's folder; the usual place by default.

    Raises
    ------
    InputError
        `keep_best` is no whole number of at least 0.
    """
    chosen = _chosen(storage, name, keep_best, files, folder)
    # Files go first: what is left if this is cut off is named by the ledger, and goes the next time.
    if chosen.place is not None:
        removed, size = remove_files(chosen.place, chosen.locations)
    else:
        removed, size = delete_files(storage, chosen.study_id, chosen.served)
        if files:
            clear_attempts(storage, chosen.study_id, set(chosen.numbers))
    for start in range(0, len(chosen.numbers), _BATCH):
        storage.trim(chosen.study_id, chosen.numbers[start : start + _BATCH], who=this_user())
    return TrimPlan(tuple(chosen.numbers), chosen.artifacts, removed, size)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Which trials are trimmed, and where their files are.

    `locations` are files within the folder `place`; `served` are artifacts whose files a server has.
    """

    study_id: int
    numbers: list[int]
    artifacts: int
    place: Path | None = None
    locations: list[str] = field(default_factory=list)
    served: list[Artifact] = field(default_factory=list)


def _chosen(storage: Storage, name: str, keep_best: int, files: bool, folder: Path | None) -> _Chosen:
    if isinstance(keep_best, bool) or not isinstance(keep_best, int) or keep_best < 0:
        raise InputError(f"expected keep_best to be a whole number of at least 0, got {keep_best!r}.")
    record = storage.study(name)
    trials = storage.trials(record.id)
    best = set(_best(trials, record.spec.objectives, keep_best))
    numbers = [trial.number for trial in trials if trial.state.finished and trial.number not in best]
    chosen = set(numbers)
    artifacts = storage.artifacts(record.id)
    kept = {item.location for number, item in artifacts if number not in chosen}
    gone = [item for number, item in artifacts if number in chosen]
    rest = [item for item in gone if item.location not in kept]
    place = folder_of(storage, name, folder) if files else None
    if place is None:
        served = rest if files and keeps_files(storage) else []
        return _Chosen(record.id, numbers, len(gone), served=served)
    locations = {item.location for item in rest}
    for attempt in storage.attempts(record.id):
        if attempt.number in chosen:
            usual = f"trials/{attempt.number}-{attempt.fence}"
            locations |= set(_below(place, _relative(attempt.log_location, place) or usual))
    return _Chosen(record.id, numbers, len(gone), place, sorted(locations - kept))


def _best(trials: Sequence[Trial], objectives: Sequence[Objective], keep: int) -> list[int]:
    rest = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if len(objectives) == 1:
        sign = objectives[0].sign
        ranked = sorted(rest, key=lambda trial: (trial.values[0] * sign, trial.number))
        return [trial.number for trial in ranked[:keep]]
    chosen: list[int] = []
    while rest and len(chosen) < keep:
        front = {trial.number for trial in pareto_trials(rest, objectives)}
        chosen += sorted(front)[: keep - len(chosen)]
        rest = [trial for trial in rest if trial.number not in front]
    return chosen


def _relative(location: str, folder: Path) -> str:
    """Return where a folder of output lies within the study's; empty if it does not."""
    if not location:
        return ""
    path, folder = Path(location).absolute(), folder.absolute()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""


def _below(folder: Path, location: str) -> list[str]:
    """Return the regular files below one place within the folder."""
    start = inside(folder, location)
    if start is None or not start.is_dir():
        return []
    found = (path for path in start.rglob("*") if path.is_file() and not path.is_symlink())
    return [path.relative_to(folder).as_posix() for path in found]


def _sizes(folder: Path, locations: Sequence[str]) -> list[int]:
    paths = [inside(folder, location) for location in locations]
    return [path.stat().st_size for path in paths if path is not None and path.is_file()]

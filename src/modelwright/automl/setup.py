"""Set-up of a run's folder and its study; also the way back into a run that is there already."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.automl.data import infer_schema
from modelwright.automl.dummy import dummy_test_score
from modelwright.automl.folder import RunFolder
from modelwright.automl.methods import Method, default_methods, load_methods
from modelwright.automl.metrics import metric
from modelwright.automl.partitions import joint_space, partitions
from modelwright.automl.prepare import Prepared, Tables, open_prepared, prepare
from modelwright.automl.search import PartitionSearch
from modelwright.automl.settings import FitSettings
from modelwright.errors import InputError
from modelwright.records import Component, Objective, SearchSettings
from modelwright.storage import open_storage
from modelwright.storage.base import Partition
from modelwright.study import Study

__all__ = ["RUN_FOLDER", "Run", "check_methods", "open_run_study", "set_up"]

RUN_FOLDER = "run_folder"
"""Attribute of a run's study: the full path of its folder, by which workers find the data."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is set up.

    Attributes
    ----------
    folder : RunFolder
        Where it lives.
    content : mapping
        What ``run.json`` says.
    prepared : Prepared
        The encoded table.
    methods : sequence of Method
        What is searched.
    """

    folder: RunFolder
    content: Mapping[str, Any]
    prepared: Prepared
    methods: list[Method]

    def search(self, settings: FitSettings) -> PartitionSearch:
        """Return the search as the study's optimizer builds it."""
        task = self.prepared.schema.task
        objective = Objective(self.prepared.metric, metric(self.prepared.metric, task).direction)
        return PartitionSearch(
            joint_space(self.methods), [objective], deterministic=True, **_search_options(settings, task)
        )


def check_methods(settings: FitSettings) -> None:
    """Refuse names of methods that are not known, before any work is done."""
    load_methods(settings.methods, task=None)


def set_up(
    folder: RunFolder,
    tables: Tables,
    settings: FitSettings,
    *,
    storage: str | None = None,
    note: Callable[[str], None] = lambda text: None,
    begins: Callable[[], object] = lambda: None,
) -> Run:
    """Set a run up in `folder`, or open the one that is there.

    Parameters
    ----------
    folder : RunFolder
        Need not exist; one that this call made is removed again when something is wrong.
    tables : Tables
        What was read.
    settings : FitSettings
        What to do.
    storage : str, optional
        Address of a ledger elsewhere than in the folder.
    note : callable
        Hears of what was found in the table.
    begins : callable
        Called when the table begins to be encoded, which takes a while.

    Raises
    ------
    InputError
        The table or the settings, or the folder holds another run.
    """
    asked = settings.identity()
    wanted = {"data": _fingerprint(tables), "settings": asked}
    content = folder.read()
    if content is None:
        begins()
        with folder.being_set_up():
            content = folder.read()  # another command may have been faster
            if content is None:
                content = _create(folder, tables, settings, storage, wanted, note)
    if settings.target not in tables.train:
        infer_schema(tables.train, settings.target)  # refuses it, and names the nearest columns
    folder.check_same(content, {**wanted, "settings": _resolved(asked, content)})
    if storage is not None:
        _check_same_storage(folder, content["storage"], storage)
    prepared = open_prepared(folder.data)
    return Run(folder, content, prepared, load_methods(_names(settings, prepared), prepared.schema.task))


def _create(
    folder: RunFolder,
    tables: Tables,
    settings: FitSettings,
    storage: str | None,
    wanted: Mapping[str, Any],
    note: Callable[[str], None],
) -> dict[str, Any]:
    folder.remove_unfinished_data()
    prepared = prepare(folder.data, tables, settings, note)
    task = prepared.schema.task
    methods = load_methods(_names(settings, prepared), task)  # refused now: one that cannot do this task,
    Run(folder, {}, prepared, methods).search(settings)  # a selector or tuner that there is not
    url = None if storage is None else _checked_storage(storage)
    name = folder.path.absolute().name
    content = {
        **wanted,
        "study": name if url is None else f"{name}-{uuid.uuid4().hex[:8]}",
        "storage": url or "",
        "metric": prepared.metric,
        "task": task,
        "table": tables.name,
        "dummy_test_score": dummy_test_score(prepared.store),
    }
    folder.write(content)
    return content


def _resolved(settings: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with what the run found by itself where nothing, or the same, was asked for."""
    result = dict(settings)
    for name in ("metric", "task"):
        if result[name] in (None, content[name]):
            result[name] = content["settings"][name]
    return result


def _names(settings: FitSettings, prepared: Prepared) -> list[str]:
    return list(settings.methods or default_methods(prepared.schema.task))


def _search_options(settings: FitSettings, task: str) -> dict[str, Any]:
    return {
        "methods": list(settings.methods or default_methods(task)),
        "task": task,
        "selector": settings.selector,
        "tuner": settings.tuner,
        "k_window": settings.k_window,
        "r_minimum": settings.r_minimum,
    }


def _checked_storage(storage: str) -> str:
    """Return the full address of a ledger that can be opened."""
    opened = open_storage(storage)
    url = opened.url
    opened.close()
    if url == "memory://":
        raise InputError(
            "expected a storage that outlives the command, got 'memory://'.",
            hint="Leave --storage out to keep the ledger in the run's folder.",
            code="E_DB_URL",
        )
    return url


def _check_same_storage(folder: RunFolder, used: str, storage: str) -> None:
    if _checked_storage(storage) != used:
        place = used or "its own folder"
        raise InputError(
            f"the run in {str(folder.path)!r} keeps its ledger in {place}, not in {storage}.",
            hint="Leave --storage out to go on with it, or add --new.",
            code="E_OTHER_RUN",
        )


def _fingerprint(tables: Tables) -> str:
    from modelwright.automl.data import fingerprint

    parts = [fingerprint(frame) for frame in (tables.train, tables.test, tables.valid) if frame is not None]
    if tables.weight is not None:
        parts.append(hashlib.sha256(tables.weight.tobytes()).hexdigest())
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def open_run_study(run: Run, settings: FitSettings) -> Study:
    """Open the run's study; created, with its data set and its partitions, where it is new."""
    with run.folder.locked():  # of two commands one creates it
        return _open_study(run, settings)


def _open_study(run: Run, settings: FitSettings) -> Study:
    prepared, name = run.prepared, run.content["study"]
    search = run.search(settings)
    storage = open_storage(run.content["storage"] or run.folder.ledger_url)
    known = {record.spec.name for record in storage.studies()}
    study = Study(
        joint_space(run.methods),
        directions={objective.name: objective.direction for objective in search.objectives},
        storage=storage,
        name=name,
        seed=settings.seed,
        optimizer=Component("partitions", _search_options(settings, prepared.schema.task)),
        deterministic=True,
        load_if_exists=True,
        folder=run.folder.path,
        dataset_id=None if name in known else storage.add_dataset(prepared.dataset),
        description=f"{settings.tuner}___{settings.selector}",
        search=SearchSettings(
            selector=settings.selector,
            tuner=settings.tuner,
            k_window=settings.k_window,
            r_minimum=settings.r_minimum,
            gridding=0,
            metric=prepared.metric,
            score_target="cv",
            budget_type="walltime" if settings.trials is None else "classifier",
        ),
    )
    parts = [
        Partition(part.index, part.method.name, part.categoricals, list(part.tunables.names), part.constants)
        for part in partitions(run.methods)
    ]
    storage.add_partitions(study.record.id, parts)
    folder = str(run.folder.path.absolute())
    if study.record.user_attrs.get(RUN_FOLDER) != folder:
        study.set_user_attr(RUN_FOLDER, folder)
    return study

"""Set-up of a run: from a table to the encoded store that every trial maps into memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.jsonform import dumps, loads
from modelwright.automl.data import (
    Encoder,
    Finding,
    Schema,
    TableStore,
    check_table,
    dataset_metadata,
    infer_schema,
)
from modelwright.automl.metrics import default_metric, metric
from modelwright.automl.resampling import Plan, choose_plan, split_holdout
from modelwright.automl.settings import FitSettings
from modelwright.errors import DataError, InputError
from modelwright.storage.base import Dataset

__all__ = ["Prepared", "Tables", "open_prepared", "prepare"]

_MOST_NOTES = 5  # of one kind


@dataclass(frozen=True, slots=True)
class Tables:
    """What a fit was given, read into frames.

    Attributes
    ----------
    train : DataFrame
        The table with the target.
    test : DataFrame, optional
        Another one, for the test score.
    valid : DataFrame, optional
        Rows to judge models by, instead of cross-validation.
    weight : ndarray, optional
        One weight for each row of `train`.
    name, path, test_path : str
        Where they came from, for the record.
    notes : sequence of Finding
        What reading them found.
    """

    train: Any
    test: Any = None
    valid: Any = None
    weight: NDArray[np.float64] | None = None
    name: str = "table"
    path: str = ""
    test_path: str | None = None
    notes: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """An encoded table, ready for trials."""

    folder: Path
    store: TableStore
    schema: Schema
    encoder: Encoder
    dataset: Dataset
    findings: Sequence[Finding] = field(default_factory=tuple)

    @property
    def metric(self) -> str:
        """What is optimized."""
        return str(self.store.meta["metric"])


def prepare(
    folder: Path,
    tables: Tables,
    settings: FitSettings,
    note: Callable[[str], None] = lambda text: None,
) -> Prepared:
    """Find types, check, split and encode; write all of it to `folder` at once.

    Raises
    ------
    DataError
        The table cannot be learned from; the message names the column.
    InputError
        The metric does not fit the task.
    """
    findings = list(tables.notes)
    schema = infer_schema(tables.train, settings.target, settings.task)
    chosen = metric(settings.metric, schema.task) if settings.metric else default_metric(schema.task)
    # The weights travel as a column, since rows without a target are dropped on the way.
    train, weight = _with_weights(schema, tables.train, tables.weight, findings)
    findings += check_table(train, schema)
    _tell(findings, note)
    dataset = dataset_metadata(
        train,
        schema,
        train_path=tables.path,
        name=tables.name,
        test_path=tables.test_path,
        description=f"{schema.task}: {schema.target!r} from {len(schema.columns)} columns",
    )

    encoder = Encoder.fit(train, schema)
    X, y = encoder.transform(train), encoder.encode_target(train[schema.target])
    X_test, y_test = None, None
    if tables.test is not None:
        X_test, y_test = _encode(tables.test, schema, encoder, "test", findings)
    elif settings.holdout > 0:
        keep, aside = split_holdout(schema.task, y, settings.holdout, settings.seed)
        X, y, X_test, y_test = X[keep], y[keep], X[aside], y[aside]
        weight = None if weight is None else weight[keep]
    _check_left(y, schema)

    n_train = len(y)
    if tables.valid is not None:
        X_valid, y_valid = _encode(tables.valid, schema, encoder, "validation", findings)
        X, y = np.vstack([X, X_valid]), np.concatenate([y, y_valid])
        weight = None if weight is None else np.concatenate([weight, np.ones(len(y_valid))])
    plan = _plan(settings, X, schema.task)
    meta = {
        "task": schema.task,
        "n_classes": schema.n_classes,
        "feature_kinds": list(encoder.feature_kinds),
        "features": list(encoder.features),
        "metric": chosen.name,
        "seed": settings.seed,
        "strategy": "given" if tables.valid is not None else plan.strategy,
        "folds": plan.folds,
        "repeats": plan.repeats,
        "fraction": plan.fraction,
        "n_train": n_train,
    }
    texts = {
        "schema.json": dumps(schema.to_json()),
        "encoder.json": dumps(encoder.to_json()),
        "findings.json": dumps([finding.to_json() for finding in findings]),
        "dataset.json": dumps(_dataset_form(dataset)),
    }
    TableStore.write(folder, X, y, weight=weight, X_test=X_test, y_test=y_test, meta=meta, texts=texts)
    return open_prepared(folder)


def open_prepared(folder: Path) -> Prepared:
    """Return what `prepare` wrote to `folder`."""
    store = TableStore.open(folder)
    read = {
        name: loads((folder / f"{name}.json").read_bytes())
        for name in ("schema", "encoder", "findings", "dataset")
    }
    return Prepared(
        folder,
        store,
        Schema.from_json(read["schema"]),
        Encoder.from_json(read["encoder"]),
        Dataset(**read["dataset"]),
        tuple(Finding.from_json(form) for form in read["findings"]),
    )


def _tell(findings: Sequence[Finding], note: Callable[[str], None]) -> None:
    """Say what was found; of many findings of a kind, as in a table of 5,000 columns, a few stand for all."""
    kinds = Counter(finding.code for finding in findings)
    told: Counter[str] = Counter()
    for finding in findings:
        told[finding.code] += 1
        left = kinds[finding.code] - _MOST_NOTES
        if told[finding.code] <= _MOST_NOTES:
            note(str(finding))
        elif told[finding.code] == _MOST_NOTES + 1:
            note(f"{finding.level}: the same of {left} more columns; the report names them.")


def _with_weights(
    schema: Schema, frame: Any, weight: NDArray[np.float64] | None, findings: list[Finding]
) -> tuple[Any, NDArray[np.float64] | None]:
    if weight is None:
        return schema.check(frame, "train", findings=findings), None
    weight = np.asarray(weight, dtype=float)
    if weight.shape != (len(frame),):
        raise InputError(f"expected one weight for each of the {len(frame)} rows, got shape {weight.shape}.")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.sum() > 0):
        raise InputError("expected finite weights of 0 or more, not all of them 0.")
    numbered = frame.reset_index(drop=True)
    checked = schema.check(numbered, "train", findings=findings)
    return checked, weight[checked.index.to_numpy()]


def _encode(
    frame: Any, schema: Schema, encoder: Encoder, what: str, findings: list[Finding]
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    if schema.target not in frame:
        raise DataError(
            f"the {what} table lacks the target column {schema.target!r}.",
            hint="It is needed to compute a score.",
            code="E_TARGET_MISSING",
        )
    checked = schema.check(frame, "train", findings=findings)
    if not len(checked):
        raise DataError(f"the {what} table has no row with a target.", code="E_TARGET_EMPTY")
    return encoder.transform(checked), encoder.encode_target(checked[schema.target])


def _check_left(y: NDArray[Any], schema: Schema) -> None:
    if schema.task != "regression" and len(np.unique(y)) < 2:
        raise DataError(
            "after the test part is set aside only one class is left to learn from.",
            hint="Use --holdout 0, or a table with more rows.",
            code="E_TOO_FEW_ROWS",
        )


def _plan(settings: FitSettings, X: NDArray[np.float64], task: str) -> Plan:
    if settings.folds is None:
        return choose_plan(len(X), X.shape[1], settings.time_s, task)
    if settings.folds == 1:
        return Plan("holdout", folds=1)
    return Plan("cv", folds=settings.folds)


def _dataset_form(dataset: Dataset) -> dict[str, Any]:
    names = Dataset.__dataclass_fields__
    return {name: getattr(dataset, name) for name in names if name != "id"}

"""Small bundles to break."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelwright.automl.bundle import MemberSource, write_bundle
from modelwright.automl.data import Encoder, Schema, infer_schema


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    size = rng.normal(size=60).round(3)
    return pd.DataFrame(
        {
            "size": size,
            "colour": rng.choice(["red", "green", "blue"], 60),
            "kind": np.where(size + rng.normal(scale=0.3, size=60) > 0, "yes", "no"),
        }
    )


@pytest.fixture(scope="session")
def encoder(table: pd.DataFrame) -> Encoder:
    schema = infer_schema(table, "kind")
    return Encoder.fit(schema.check(table, "train"), schema)


@pytest.fixture(scope="session")
def schema(encoder: Encoder) -> Schema:
    return encoder.schema


@pytest.fixture
def fold_folder(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes the folder of a saved model, with plain files only."""

    def make(name: str) -> Path:
        folder = tmp_path / "trials" / name
        folder.mkdir(parents=True)
        np.save(folder / "weights.npy", np.arange(3.0))
        (folder / "model.json").write_text('{"kind": "example"}')
        return folder

    return make


@pytest.fixture
def write(tmp_path: Path, encoder: Encoder, fold_folder: Callable[[str], Path]) -> Callable[..., Path]:
    """Return a function that writes a bundle of two members, one with two folds."""

    def write_to(folder: Path | None = None) -> Path:
        sources = [tmp_path / "trials" / name for name in ("a0", "a1", "b0")]
        if not sources[0].exists():
            sources = [fold_folder(path.name) for path in sources]
        return write_bundle(
            folder or tmp_path / "model",
            schema=encoder.schema,
            encoder=encoder,
            metric="accuracy",
            members=[
                MemberSource("a", 3.0, sources[:2], {"method": "example"}),
                MemberSource("b", 1.0, sources[2:]),
            ],
            details={"score": 0.9},
        )

    return write_to

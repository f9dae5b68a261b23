"""The matrix: what each kind becomes, nothing learned from the target, the same bits after JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwright.automl.data import Encoder, infer_schema
from modelwright.errors import DataError

N = 60


def fitted(columns: dict[str, Any], y: Any = None) -> tuple[Encoder, pd.DataFrame]:
    table = pd.DataFrame({**columns, "y": np.arange(N) % 2 if y is None else y})
    schema = infer_schema(table, "y")
    frame = schema.check(table, "train")
    return Encoder.fit(frame, schema), frame


def columns_of(encoder: Encoder, frame: Any) -> dict[str, list[float]]:
    X = encoder.transform(frame)
    return {name: X[:, place].tolist() for place, name in enumerate(encoder.features)}


def test_numbers_flags_and_categories() -> None:
    encoder, frame = fitted(
        {
            "n": np.linspace(-1, 1, N),
            "b": ["no", "yes"] * 30,
            "c": ["u", "w", "v"] * 20,
            "key": [f"k{place}" for place in range(N)],
            "one": "same",
        }
    )
    assert encoder.features == ("n", "b", "c")
    assert encoder.feature_kinds == ("number", "number", "category")
    assert encoder.sources == ("n", "b", "c")
    X = encoder.transform(frame)
    assert X.dtype == np.float64
    assert X.shape == (N, 3)
    assert X[:3, 1].tolist() == [0, 1, 0]
    assert X[:3, 2].tolist() == [0, 2, 1]


def test_missing_and_unseen_are_nan() -> None:
    encoder, _ = fitted({"n": np.linspace(-1, 1, N), "b": ["no", "yes"] * 30, "c": ["u", "w", "v"] * 20})
    odd = {"n": ["", "inf", 3, 4], "b": ["?", "yes", None, "NO"], "c": ["x", "", "w", "u"]}
    X = encoder.transform(odd)
    np.testing.assert_array_equal(X, [[np.nan] * 3, [np.nan, 1, np.nan], [3, np.nan, 2], [4, 0, 0]])


def test_all_is_safe_for_32_bit_floats() -> None:
    encoder, _ = fitted({"n": [1e308, -1e308, *np.linspace(0, 1, N - 2)]})
    X = encoder.transform({"n": [1e308, -1e35, 5]})
    assert X[:, 0].tolist() == [1e30, -1e30, 5]
    assert np.isfinite(X.astype(np.float32)).all()


def test_dates_become_the_parts_that_vary() -> None:
    days = pd.date_range("2024-02-27", periods=N, freq="D")
    encoder, frame = fitted({"day": days})
    assert encoder.features == ("day.month", "day.day", "day.weekday", "day.days")
    parts = columns_of(encoder, {"day": ["2024-03-01", "2024-02-27 12:00", None]})
    assert parts["day.month"][:2] == [3, 2]
    assert parts["day.day"][:2] == [1, 27]
    assert parts["day.weekday"][:2] == [4, 1]
    assert parts["day.days"][:2] == [3, 0.5]
    assert np.isnan([values[2] for values in parts.values()]).all()
    hourly, _ = fitted({"t": pd.date_range("2023-12-31", periods=N, freq="7h")})
    assert hourly.features == ("t.year", "t.month", "t.day", "t.weekday", "t.hour", "t.days")
    assert encoder.transform(frame).shape == (N, 4)


def test_texts_become_counts_and_words() -> None:
    words = ["good", "bad", "sour"]
    texts = [f"{words[place % 3]} wine, bottle {place} of the {1900 + place}s" for place in range(N)]
    encoder, frame = fitted({"note": texts})
    assert encoder.features[:3] == ("note.characters", "note.words", "note.digits")
    # In every row, or in one only: neither tells anything.
    assert set(encoder.features[3:]) == {"note:good", "note:bad", "note:sour"}
    table = columns_of(encoder, {"note": ["GOOD 12", "", "xy"]})
    assert table["note:good"] == [1, 0, 0]
    assert table["note.characters"][0] == 7
    assert table["note.words"][0] == 2
    assert table["note.digits"][0] == pytest.approx(2 / 7)
    assert np.isnan([table[f"note.{part}"][1] for part in ("characters", "words", "digits")]).all()
    assert encoder.transform(frame).shape == (N, 6)


def test_at_most_thirty_words_are_kept_the_most_even_first() -> None:
    rng = np.random.default_rng(0)
    shares = np.linspace(0.1, 0.5, 45)
    texts = [
        " ".join([f"w{place}" for place in range(45) if rng.random() < shares[place]] + [f"row{row}"])
        for row in range(400)
    ]
    table = pd.DataFrame({"note": texts, "y": np.arange(400) % 2})
    schema = infer_schema(table, "y")
    encoder = Encoder.fit(schema.check(table, "train"), schema)
    kept = [name for name in encoder.features if ":" in name]
    assert len(kept) == 30
    assert "note:w44" in kept
    assert "note:w0" not in kept


def test_the_target_is_not_looked_at() -> None:
    columns = {
        "note": [f"word{place % 7} other{place % 5} row {place}" for place in range(N)],
        "n": range(5, N + 5),
    }
    one, _ = fitted({**columns, "x": np.arange(N) % 9}, np.arange(N) % 2)
    two, _ = fitted({**columns, "x": np.arange(N) % 9}, np.arange(N) % 3)
    assert one.to_json()["state"] == two.to_json()["state"]


def test_json_keeps_every_bit() -> None:
    rng = np.random.default_rng(1)
    encoder, frame = fitted(
        {
            "n": rng.normal(size=N),
            "c": ["u", "w", "é"] * 20,
            "b": [True, False, None] * 20,
            "d": pd.date_range("2024-01-01 00:00:01", periods=N, freq="37h"),
            "t": [f"some words {place % 4} and {place} more" for place in range(N)],
        }
    )
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again.features == encoder.features
    assert again.feature_kinds == encoder.feature_kinds
    assert again.transform(frame).tobytes() == encoder.transform(frame).tobytes()
    assert (
        again.transform(frame.drop(columns="y").astype(object)).tobytes()
        == encoder.transform(frame).tobytes()
    )


@pytest.mark.parametrize(
    "form", [{}, [], {"format": 2}, {"format": 1}, {"format": 1, "schema": {"format": 1}}]
)
def test_another_json_is_refused(form: Any) -> None:
    with pytest.raises(DataError):
        Encoder.from_json(form)


@pytest.mark.parametrize(
    "labels",
    [[3, 1, 2], ["b", "a", "c"], [True, False, True], [1.5, 0.5, 1.5], ["NA", "x", "None"], ["01", "1", "x"]],
)
def test_labels_make_the_round_trip(labels: list[Any]) -> None:
    encoder, frame = fitted({"n": np.arange(N) % 7}, labels * 20)
    codes = encoder.encode_target(frame["y"])
    assert codes.dtype == np.int64
    assert sorted(set(codes)) == list(range(len(set(labels))))
    back = encoder.decode_target(codes)
    assert back.tolist() == labels * 20
    assert back.dtype == {int: np.int64, str: object, bool: np.bool_, float: np.float64}[type(labels[0])]
    assert encoder.classes == tuple(sorted(set(labels)))


def test_values_stay_values() -> None:
    encoder, frame = fitted({"n": np.arange(N) % 7}, np.linspace(0, 1, N))
    assert encoder.encode_target(frame["y"]).tolist() == np.linspace(0, 1, N).tolist()
    assert encoder.decode_target(np.array([0.25])).tolist() == [0.25]


def test_a_missing_target_is_refused() -> None:
    encoder, _ = fitted({"n": np.arange(N) % 7})
    with pytest.raises(DataError, match="1 of 2 have none") as caught:
        encoder.encode_target([0, None])
    assert caught.value.code == "E_TARGET_EMPTY"


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1, 2, None] * 20, dtype="Int64"),
        pd.array([True, False, None] * 20, dtype="boolean"),
        pd.array(["a", "b", None] * 20, dtype="string"),
        pd.array([1, 2, None] * 20, dtype="int64[pyarrow]"),
        pd.array(pd.date_range("2020-01-01", periods=N), dtype="timestamp[us][pyarrow]"),
        pd.Categorical([3, 1, 2] * 20, ordered=True),
        pd.date_range("2020-01-01", periods=N, tz="Asia/Tokyo"),
        pd.to_timedelta([1, 5, 3] * 20, unit="h"),
        ["0001-01-01", "9999-12-31"] * 30,
        ["2020-01-01T00:00:00+02:00", "2020-01-01", "2020-05-01T12:30Z"] * 20,
        [1, "a", 2.5, None, True, pd.Timestamp("2020-01-01")] * 10,
        pd.Series(["a\udc80", "b", "c"] * 20, dtype=object),
    ],
)
def test_each_type_of_column_is_taken_and_checking_first_changes_nothing(column: Any) -> None:
    table = pd.DataFrame({"x": column, "y": np.arange(N) % 2})
    encoder, frame = fitted({"x": column})
    assert encoder.features[0].startswith("x")
    assert encoder.transform(table).tobytes() == encoder.transform(frame).tobytes()
    assert len(np.unique(encoder.transform(frame), axis=0)) > 1


def test_no_rows_make_an_empty_matrix() -> None:
    encoder, frame = fitted(
        {
            "n": np.arange(N) % 7,
            "d": pd.date_range("2024-01-01", periods=N),
            "t": [f"a b c {i}" for i in range(N)],
        }
    )
    assert encoder.transform(frame.iloc[:0]).shape == (0, len(encoder.features))

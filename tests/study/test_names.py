"""Names of studies, and budgets: what cannot be one is refused, wherever it comes from."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.errors import InputError
from modelwright.records import Budget, StudySpec
from modelwright.storage import open_storage

SPACE = Space(x=Float(0, 1))
BAD_NAMES = {
    "empty": "",
    "too long": "a" * 201,
    "a path": "a/b",
    "a break of lines": "a\nb",
    "an escape": "a\x1b[31m",
    "delete": "a\x7f",
    "a control of the second block": "a\x9b",
    "turned around": "a\u202eb",
    "isolated": "a\u2066b",
    "of no width": "a\u200bb",
    "a line separator": "a\u2028b",
    "a paragraph separator": "a\u2029b",
    "half a pair": "a\ud800",
    "no text": 7,
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_names_that_cannot_be(name: Any) -> None:
    with pytest.raises(InputError, match="1 to 200 printable characters") as caught:
        StudySpec(name, SPACE)
    assert caught.value.code == "E_NAME"
    assert str(caught.value).isprintable() or "\n" in str(caught.value)  # the hint has a line of its own


@pytest.mark.parametrize("address", ["memory", "sqlite"])
@pytest.mark.parametrize("name", ["", "a\u202eb", "a\x9b", "a/b"])
def test_no_study_is_renamed_so(address: str, name: str, tmp_path: Any) -> None:
    storage = open_storage(None if address == "memory" else tmp_path / "ledger.db")
    study = Study(SPACE, storage=storage, name="before")
    before = storage.study("before")
    with pytest.raises(InputError) as caught:
        study.rename(name)
    assert caught.value.code == "E_NAME"
    assert storage.studies() == [before]
    study.close()


@pytest.mark.parametrize("name", ["a", "größe 2", "データ", "a.b-c_d", "x" * 200, "\N{SPARKLES}"])
def test_names_that_may_be(name: str) -> None:
    assert StudySpec(name, SPACE).name == name


@pytest.mark.parametrize("moment", [-1, 1.5, True, "2030-01-01", 2**60])
def test_deadlines_that_cannot_be(moment: Any) -> None:
    with pytest.raises(InputError, match="expected deadline_us to be a whole number"):
        Budget(deadline_us=moment)
    assert Budget(deadline_us=0).deadline_us == 0

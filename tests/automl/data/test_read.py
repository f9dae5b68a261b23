"""Tables are read in all their forms, and what is no table is refused by name, with the place."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelwright.automl.data import read_table
from modelwright.automl.data.files import ReadLimits
from modelwright.errors import DataError, InputError

PLAIN = "name,size,price\nchair,3,10.5\ntable,,20\nlamp,1,7\n"


def write(path: Path, contents: str | bytes) -> Path:
    path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    return path


def codes_of(path: Path) -> list[str]:
    return [note.code for note in read_table(path).notes]


def refusal(path: Path | str, **options: object) -> DataError:
    """Return how reading is refused."""
    with pytest.raises(DataError) as caught:
        read_table(path, **options)  # type: ignore[arg-type]
    return caught.value


# forms ---------------------------------------------------------------------------------------------------


def test_cells_of_a_text_file_stay_text(tmp_path: Path) -> None:
    result = read_table(write(tmp_path / "t.csv", "id,label,y\n007,NA,1.0\n010,None,2\n"))
    assert result.frame.to_dict("list") == {
        "id": ["007", "010"],
        "label": ["NA", "None"],
        "y": ["1.0", "2"],
    }
    assert result.notes == []
    assert result.path == tmp_path / "t.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_separator_and_line_ends_are_found_out(tmp_path: Path, separator: str, line_end: str) -> None:
    text = PLAIN.replace(",", separator).replace("\n", line_end)
    result = read_table(write(tmp_path / "t.txt", text))
    assert result.frame.columns.tolist() == ["name", "size", "price"]
    assert result.frame["size"].tolist() == ["3", "", "1"]
    assert [note.code for note in result.notes] == ([] if separator == "," else ["I_SEPARATOR"])


def test_quotes_hide_separators_and_line_ends(tmp_path: Path) -> None:
    text = 'a;b\n"x;1,2";"say ""hi"""\n"two\nlines";"c,d,e"\n'
    result = read_table(write(tmp_path / "t.csv", text))
    assert result.frame.to_dict("list") == {"a": ["x;1,2", "two\nlines"], "b": ['say "hi"', "c,d,e"]}


def test_a_quote_inside_a_cell_is_a_character(tmp_path: Path) -> None:
    text = 'screen,cost\n5" flat,1\n6" flat,2\n7 flat,3\n'
    assert read_table(write(tmp_path / "t.csv", text)).frame["screen"].tolist() == [
        '5" flat',
        '6" flat',
        "7 flat",
    ]


def test_a_comma_in_numbers_is_a_decimal_point_where_it_separates_nothing(tmp_path: Path) -> None:
    result = read_table(write(tmp_path / "t.csv", "a;b;c\n1,5;x,y;3\n-2,25e3;z;4\n;w;5\n"))
    assert result.frame.to_dict("list") == {
        "a": ["1.5", "-2.25e3", ""],
        "b": ["x,y", "z", "w"],
        "c": ["3", "4", "5"],
    }
    # Without a header every row has as many commas as semicolons.
    bare = read_table(write(tmp_path / "t.csv", "1,5;2,5\n3,5;4,5\n"))
    assert bare.frame.to_dict("list") == {"c0": ["1.5", "3.5"], "c1": ["2.5", "4.5"]}


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    result = read_table(write(tmp_path / "t.csv", "\n\na,b\n1,2\n\n  \n3,4\n\n"))
    assert result.frame.to_dict("list") == {"a": ["1", "3"], "b": ["2", "4"]}


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", []),
        ("utf-8-sig", []),
        ("utf-16", ["I_ENCODING"]),
        ("utf-16-le", ["I_ENCODING"]),
        ("utf-16-be", ["I_ENCODING"]),
        ("utf-32", ["I_ENCODING"]),
        ("cp1252", ["I_ENCODING"]),
    ],
)
def test_encodings_are_found_out(tmp_path: Path, encoding: str, note: list[str]) -> None:
    text = "città,straße\nMünchen,5 €\nMálaga,7\n"
    path = write(tmp_path / "t.csv", text.encode(encoding))
    result = read_table(path)
    assert result.frame.to_dict("list") == {"città": ["München", "Málaga"], "straße": ["5 €", "7"]}
    assert [item.code for item in result.notes] == note


def test_an_encoding_that_is_said_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "имя,n\nюля,1\n".encode("cp1251"))
    assert read_table(path, encoding="cp1251").frame["имя"].tolist() == ["юля"]
    error = refusal(path, encoding="utf-8")
    assert error.code == "E_CSV_ENCODING"
    assert "offset 0" in str(error)
    assert refusal(path, encoding="utf-9").code == "E_CSV_ENCODING"
    assert refusal(write(path, b"\xff\xfea\x00,\x00b"), encoding=None).code == "E_CSV_ENCODING"


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("a,b\n1,2\n3,4\n", True),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", False),
        ("-1,x\n-2,y\n", False),
        ("red,big\nblue,small\nred,small\nblue,big\n", False),
        ("colour,size\nblue,small\nred,small\n", True),
    ],
)
def test_a_header_is_found_out(tmp_path: Path, text: str, has: bool) -> None:
    result = read_table(write(tmp_path / "t.csv", text))
    lines = text.count("\n")
    assert len(result.frame) == (lines - 1 if has else lines)
    assert [note.code for note in result.notes] == ([] if has else ["W_NO_HEADER"])
    if not has:
        assert result.frame.columns[0] == "c0"


def test_a_row_with_the_target_is_the_header_though_it_holds_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "country,2010,2011\nNL,1,2\nBE,3,4\n")
    assert read_table(path, target="2011").frame.columns.tolist() == ["country", "2010", "2011"]
    assert read_table(path, header=True).frame.columns.tolist() == ["country", "2010", "2011"]
    assert len(read_table(path).frame) == 3
    assert len(read_table(path, names=["country", "2010"]).frame) == 2
    assert len(read_table(path, names=["city", "2009", "2010"]).frame) == 3  # one of three may be a number


def test_a_separator_that_is_said_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a b\n1,5 2\n")
    assert read_table(path, sep=" ").frame.to_dict("list") == {"a": ["1.5"], "b": ["2"]}
    for wrong in ("::", '"', "\n", ""):
        with pytest.raises(InputError, match="one plain character"):
            read_table(path, sep=wrong)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.data"])
def test_gzip_is_known_by_its_contents(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, gzip.compress(PLAIN.encode()))
    assert read_table(path).frame["name"].tolist() == ["chair", "table", "lamp"]


def test_parquet_keeps_types(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": ["x", "y"]}, index=pd.Index([3, 4], name="key"))
    frame.to_parquet(tmp_path / "t.parquet")
    result = read_table(tmp_path / "t.parquet").frame
    assert result.columns.tolist() == ["a", "b", "c", "key"] or result.columns.tolist() == [
        "key",
        "a",
        "b",
        "c",
    ]
    assert result["a"].tolist() == [1, 2]
    assert result["key"].tolist() == [3, 4]
    whole = (tmp_path / "t.parquet").read_bytes()
    error = refusal(write(tmp_path / "cut.parquet", whole[: len(whole) // 2]))
    assert error.code == "E_FILE_FORMAT"
    assert refusal(tmp_path / "t.parquet", limits=ReadLimits(columns=2)).code == "E_TOO_MANY_COLUMNS"


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        {"a": [1, 2], "b": ["x", "y"]},
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    ],
)
def test_tables_in_memory_are_taken_as_they_are(source: object) -> None:
    frame = read_table(source).frame
    assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_arrays_get_names(tmp_path: Path) -> None:
    assert read_table(np.eye(3)).frame.columns.tolist() == ["c0", "c1", "c2"]
    assert read_table([[1, 2], [3, 4]]).frame.columns.tolist() == ["c0", "c1"]
    assert read_table(pd.DataFrame([[1, 2]], columns=[0, 1])).frame.columns.tolist() == ["0", "1"]


@pytest.mark.parametrize(
    "source", [5, None, np.zeros((2, 2, 2)), np.zeros(3), {"a": [1], "b": [1, 2]}, object()]
)
def test_other_things_are_refused(source: object) -> None:
    with pytest.raises(DataError) as caught:
        read_table(source)
    assert caught.value.code == "E_TABLE_TYPE"


# refusals ------------------------------------------------------------------------------------------------


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    write(tmp_path / "data.csv", PLAIN)
    error = refusal(tmp_path / "dta.csv")
    assert error.code == "E_FILE_NOT_FOUND"
    assert "Did you mean 'data.csv'?" in str(error)
    assert refusal(tmp_path / "no" / "data.csv").code == "E_FILE_NOT_FOUND"
    assert refusal(tmp_path / "data.csv" / "x").code == "E_FILE_NOT_FOUND"
    assert refusal("nul\0byte.csv").code == "E_FILE_NOT_FOUND"
    assert refusal(tmp_path).code == "E_FILE_DIRECTORY"
    assert refusal("/dev/zero").code == "E_FILE_KIND"
    os.mkfifo(tmp_path / "pipe.csv")
    assert refusal(tmp_path / "pipe.csv").code == "E_FILE_KIND"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", PLAIN)
    path.chmod(0)
    assert refusal(path).code == "E_FILE_PERMISSION"


@pytest.mark.parametrize(
    "address",
    ["http://host/t.csv", "https://host/t.csv", "s3://bucket/t.csv", "file:///t.csv", r"\\host\t.csv"],
)
def test_addresses_are_refused(address: str) -> None:
    assert refusal(address).code == "E_FILE_URL"


@pytest.mark.parametrize("text", ["", "\n\n", "   \n", "\ufeff", "a,b\n", "a,b"])
def test_an_empty_table_is_refused(tmp_path: Path, text: str) -> None:
    assert refusal(write(tmp_path / "t.csv", text)).code == "E_CSV_EMPTY"


@pytest.mark.parametrize(
    ("text", "line", "cells"),
    [
        ("a,b\n1,2,3\n4,5\n", 2, 3),
        ("a,b\n1,2\n4,5,6\n", 3, 3),
        ("a,b,c\n1,2,3\n4,5\n6,7,8\n", 3, 2),
        ("a,b\n1,2\n\n3\n", 4, 1),
        ('a,b\n"x\ny",2\n3,4\n5\n', 5, 1),
        ('a,b\n5" x,2\n6" y\n', 3, 1),
    ],
)
def test_a_ragged_row_is_named_by_its_line(tmp_path: Path, text: str, line: int, cells: int) -> None:
    error = refusal(write(tmp_path / "t.csv", text), sep=",")
    assert error.code == "E_CSV_RAGGED"
    assert f"line {line} has {cells}" in str(error)


def test_a_ragged_row_is_found_after_many_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelwright.automl.data.scan._PIECE", 64)
    good = "a,b,c\r\n" + '"x, ""y""\nz",2,"3"\r\n1,2,3\r\n' * 100
    path = write(tmp_path / "t.csv", good)
    assert len(read_table(path).frame) == 200
    assert "line 302 has 2" in str(refusal(write(path, good + "1,2\r\n")))


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("a,b,a", "'a'"),
        ("a,,c", "column 2"),
        ("a,  ,c", "column 2"),
        ("a,=1+1,c", "formula"),
        ("a,@cmd,c", "formula"),
        (f"a,{'x' * 300},c", "256 characters"),
    ],
)
def test_names_that_cannot_be_are_refused(tmp_path: Path, header: str, named: str) -> None:
    error = refusal(write(tmp_path / "t.csv", f"{header}\n1,2,3\n4,5,6\n"))
    assert error.code == "E_CSV_COLUMNS"
    assert named in str(error)


def test_duplicate_names_of_a_frame_are_refused() -> None:
    with pytest.raises(DataError, match="'a'"):
        read_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="'1'"):
        read_table(pd.DataFrame([[1, 2]], columns=["1", 1]))


def test_nul_bytes_are_named_by_their_line(tmp_path: Path) -> None:
    text = b"a,b\n" + b"1,2\n" * 50 + b"3,\x00\n"
    error = refusal(write(tmp_path / "t.csv", text))
    assert error.code == "E_CSV_PARSE"
    assert "line 52 holds a NUL byte" in str(error)


@pytest.mark.parametrize(
    "text", ['a,b\n1,2\n"3,4\n5,6\n', 'a,b\n1,"2\n3,4\n' + "5,6\n" * 50_000, '"a,b\n1,2\n']
)
def test_an_open_quote_is_named_by_its_line(tmp_path: Path, text: str) -> None:
    error = refusal(write(tmp_path / "t.csv", text))
    assert error.code == "E_CSV_PARSE"
    assert f"line {1 if text[0] == chr(34) else 2 + (text[4] == '1' and text[6] == '2')}" in str(error)


def test_one_huge_cell_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b\n1,2\n3," + "x" * 1_000_001 + "\n4,5\n")
    error = refusal(path)
    assert error.code == "E_FIELD_TOO_LONG"
    assert "line 3" in str(error)


def test_too_wide_a_table_is_refused_by_its_header_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: object) -> None:
        raise AssertionError("the rows were looked at")

    monkeypatch.setattr("modelwright.automl.data.read.check_structure", unreachable)
    path = write(tmp_path / "t.csv", ",".join(f"c{place}" for place in range(200_000)) + "\n1,2\n")
    error = refusal(path)
    assert error.code == "E_TOO_MANY_COLUMNS"
    assert "200,000" in str(error)


def test_limits_hold(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", PLAIN)
    assert refusal(path, limits=ReadLimits(file_bytes=10)).code == "E_FILE_TOO_LARGE"
    assert refusal(path, limits=ReadLimits(cells=10)).code == "E_TOO_MANY_CELLS"
    with pytest.raises(DataError, match="20,000 columns"):
        read_table(np.zeros((1, 20_001)))


def test_a_gzip_bomb_is_stopped_early(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv.gz", gzip.compress(b"0" * 200_000_000, compresslevel=9))
    tracemalloc.start()
    error = refusal(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.code == "E_COMPRESSION"
    assert peak < 60_000_000


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        gzip.compress(gzip.compress(PLAIN.encode())),
        gzip.compress(PLAIN.encode())[:-12],
        b"PK\x03\x04rest",
        b"\xfd7zXZ\x00rest",
        b"BZh91AY",
    ],
    ids=["plain", "packed twice", "cut off", "zip", "xz", "bzip2"],  # gzip's bytes hold the time
)
def test_other_packing_is_refused(tmp_path: Path, data: bytes) -> None:
    assert refusal(write(tmp_path / "t.csv.gz", data)).code == "E_COMPRESSION"


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"%PDF-1.7\n",
        b"SQLite format 3\x00",
        b"\x80\x04\x95\x00\x00",
        b'{"a": [1, 2]}',
        b"<!doctype html><html></html>",
        bytes(range(1, 32)) * 20,
    ],
)
def test_other_kinds_of_files_are_refused(tmp_path: Path, data: bytes) -> None:
    assert refusal(write(tmp_path / "t.csv", data)).code == "E_FILE_FORMAT"

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelwright.study.script.lines import MAX_LINE, Lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


@pytest.fixture
def lines(path: Path) -> Iterator[Lines]:
    lines = Lines(path)
    yield lines
    lines.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(data)


def test_a_file_that_is_not_there_has_no_lines(lines: Lines, path: Path) -> None:
    assert list(lines.new()) == []
    append(path, b"a\n")
    assert list(lines.new()) == [b"a"]


def test_a_torn_line_is_read_once_it_is_whole(lines: Lines, path: Path) -> None:
    append(path, b"one\ntw")
    assert list(lines.new()) == [b"one"]
    assert list(lines.new()) == []
    append(path, b"o\n\n  \nthree\n")
    assert list(lines.new()) == [b"two", b"three"]


def test_a_line_that_is_too_long_is_passed_over_without_being_kept(lines: Lines, path: Path) -> None:
    append(path, b"x" * (3 * MAX_LINE))
    assert list(lines.new()) == []
    assert len(lines._rest) <= MAX_LINE
    append(path, b"x\nnext\n" + b"y" * MAX_LINE + b"\n" + b"z" * (MAX_LINE + 1) + b"\n")
    assert list(lines.new()) == [None, b"next", b"y" * MAX_LINE, None]


def test_a_file_that_is_cut_off_or_replaced_is_read_anew(lines: Lines, path: Path) -> None:
    append(path, b"first\nsecond\n")
    assert len(list(lines.new())) == 2
    path.write_bytes(b"third\n")  # as `echo ... >` does
    assert list(lines.new()) == [b"third"]
    other = path.with_name("other")
    other.write_bytes(b"fourth is longer\n")
    other.replace(path)
    assert list(lines.new()) == [b"fourth is longer"]
    assert lines.restarts == 2
    path.unlink()
    assert list(lines.new()) == []


def test_many_writers_lose_nothing(lines: Lines, path: Path) -> None:
    def write(name: int) -> None:
        for k in range(200):
            append(path, f"{name}-{k}\n".encode())

    threads = [threading.Thread(target=write, args=[name]) for name in range(4)]
    for thread in threads:
        thread.start()
    found: list[bytes | None] = []
    while any(thread.is_alive() for thread in threads):
        found += lines.new()
    found += lines.new()
    assert sorted(map(str, found)) == sorted(str(f"{n}-{k}".encode()) for n in range(4) for k in range(200))

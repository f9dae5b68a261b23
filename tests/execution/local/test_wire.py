"""Frames and links."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.execution.local.wire import BrokenWireError, Frame, Link, Tag, pack, unpack

frames = st.builds(
    Frame,
    st.sampled_from(Tag),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
    st.binary(max_size=50),
)


@pytest.fixture
def links():
    ends = [Link(sock) for sock in socket.socketpair()]
    yield ends
    for end in ends:
        end.close()


@given(st.lists(frames, max_size=5), st.integers(1, 30))
def test_frames_survive_being_cut_anywhere(sent, size):
    data = b"".join(pack(*frame) for frame in sent)
    buffer, got = bytearray(), []
    for start in range(0, len(data), size):
        buffer += data[start : start + size]
        while (frame := unpack(buffer)) is not None:
            got.append(frame)
    assert got == sent
    assert not buffer


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 64,
        pack(Tag.SEND).replace(bytes([Tag.SEND]), b"\xc8", 1),
        pack(Tag.SEND, {"kind": "x"}).replace(b"{", b"("),
        pack(Tag.SEND, {}, b"x" * 1001),
    ],
)
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(BrokenWireError):
        unpack(bytearray(data), limit=1000)


def test_a_link_never_blocks_and_loses_nothing(links):
    left, right = links
    for number in range(20):
        left.send(Tag.SEND, {"n": number}, b"x" * 500_000)
    assert left.pending > 0
    got = []
    while len(got) < 20:
        right.receive()
        left.flush()
        got += [frame.head["n"] for frame in right.frames]
        right.frames.clear()
    assert got == list(range(20))
    assert left.pending == 0


def test_a_link_sees_the_other_end_go_after_its_last_words(links):
    left, right = links
    assert not right.ended()
    left.send(Tag.SEND, {"last": "words"})
    left.close()
    right.receive()
    right.receive()
    assert [frame.head for frame in right.frames] == [{"last": "words"}]
    assert right.closed
    right.send(Tag.REPLY, {}, b"x")
    right.send(Tag.REPLY, {}, b"x")
    assert right.pending == 0


def test_hanging_up_ends_one_direction(links):
    left, right = links
    left.hang_up()
    assert right.ended()
    right.send(Tag.OVER, {"still": "heard"})
    left.receive()
    assert left.frames[0].head == {"still": "heard"}
    right.close()
    left.wait_for_end(30)
    assert left.closed


def test_descriptors_travel_with_frames(links, tmp_path):
    left, right = links
    left.send(Tag.LOAD, {}, b"x" * 1_000)
    for name in ("a", "b"):
        with (tmp_path / name).open("wb") as file:
            left.send_with_fd(Tag.OPEN, {"name": name}, file.fileno())
    while len(right.frames) < 3:
        right.receive()
    opened = [frame.head["name"] for frame in right.frames if frame.tag is Tag.OPEN]
    for name in opened:
        fd = right.fds.popleft()
        os.write(fd, name.encode())
        os.close(fd)
    assert [(tmp_path / name).read_text() for name in "ab"] == ["a", "b"]

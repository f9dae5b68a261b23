"""How much of anything a client may use."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

_MB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on requests and connections.

    Attributes
    ----------
    body, large_body, batch_body : int
        Bytes of a JSON body: of most requests; of those that carry attributes, results or spaces; of those
        that carry many trials.
    file : int
        Bytes of an artifact.
    header_bytes, headers, target : int
        Bytes of all headers, their number, and characters of the path with its query.
    body_timeout_s : float
        How long a JSON body may take to arrive; a file may take as long for every 10 MB.
    head_timeout_s, idle_timeout_s : float
        How long a connection may take to send the head of a request, and may stay open without one.
    connections : int
        How many connections are held; beyond them the one that has been silent longest is closed.
    threads, waiting : int
        How many calls of one kind run at a time, and how many may wait: of those that read the ledger, that
        write it, that take their turn at a study, and that use the disk.
    wrong_tokens : int
        How many wrong tokens in a minute are answered as such; further ones are told to slow down.
    """

    body: int = _MB
    large_body: int = 8 * _MB
    batch_body: int = 64 * _MB
    file: int = 2048 * _MB
    header_bytes: int = 16_384
    headers: int = 100
    target: int = 8192
    body_timeout_s: float = 20.0
    head_timeout_s: float = 15.0
    idle_timeout_s: float = 60.0
    connections: int = 400
    threads: int = 8
    waiting: int = 200
    wrong_tokens: int = 100
